"""The only home of boto3 and of Parquet: the object store, its keys, shards and the model registry."""
