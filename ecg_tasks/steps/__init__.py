"""One module per DAG, one function per task: where storage meets signals, learning and reporting."""
