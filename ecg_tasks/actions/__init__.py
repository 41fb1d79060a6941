"""Here: what a person does by a page or a command: drop, put back, review, decide. Not here: reading (``queries``)."""
