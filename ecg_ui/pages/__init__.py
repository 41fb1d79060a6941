"""Here: the pages, one module a section. Not here: rights (``security``), data (``queries``), drawings (``reporting``)."""
