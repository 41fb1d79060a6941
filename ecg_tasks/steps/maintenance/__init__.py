"""Here: the DAG ``maintain_store``: what may go, what is missing, what is damaged. Not here: who did what (``audit``)."""
