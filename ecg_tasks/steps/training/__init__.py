"""Here: the DAG ``retrain_model``: from labels and pictures to a judged version. Not here: which version serves (``champions``)."""
