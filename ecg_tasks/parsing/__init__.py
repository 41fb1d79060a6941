"""Reading files where nothing can be taken or broken: in a process behind walls, started for each task. Not here: formats (``readers``).

``serving`` is that process, ``asking`` what a task does with it, ``messages`` what goes between them, and ``here`` what it does.
"""
