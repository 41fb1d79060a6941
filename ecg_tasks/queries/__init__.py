"""Here: what pages and the command line read from the bucket, a module for each page. Not here: what DAGs do (``pipeline``), or HTML."""
