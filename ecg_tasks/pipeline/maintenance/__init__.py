"""Here: what ``maintain_store`` is made of: what may go, what is missing, what is damaged. Not here: its tasks."""
