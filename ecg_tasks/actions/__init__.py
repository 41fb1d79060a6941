"""Here: what a person changes through a page or a command: drop, put back, review, decide. Not here: reading (``queries``)."""
