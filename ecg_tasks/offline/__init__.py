"""Here: classifying and evaluating files on a disk, without any stack. Not here: what the DAGs do."""
