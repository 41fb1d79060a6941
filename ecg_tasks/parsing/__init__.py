"""Here: reading files in a process behind walls, where a hostile file can do no harm. Not here: formats (``readers``).

``serving`` is that process, ``asking`` what a task does with it, ``messages`` what goes between them, and ``here`` what it does.
"""
