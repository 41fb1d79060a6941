"""Here: what the web pages show, read from the bucket, a module a page. Not here: what the DAGs do, or HTML."""
