"""Here: reading and writing the bucket; only this folder knows its keys and boto3. Not here: what a DAG does with it (``pipeline``)."""
