"""Here: what lies in the bucket; the only home of its keys, of boto3 and of Parquet. Not here: what a DAG does with it (``pipeline``)."""
