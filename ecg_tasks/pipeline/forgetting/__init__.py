"""Here: what forgetting a recording changes, a module a kind of object, and their list. Not here: the tasks (``forget_patient``)."""
