"""Here: what pages and the command line read of the bucket, a module a page. Not here: what the DAGs do (``pipeline``), or HTML."""
