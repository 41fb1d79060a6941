"""Here: the pages, a module a section. Not here: rights (``security``), data (``ecg_tasks.steps``), drawings (``ecg_tasks.reporting``)."""
