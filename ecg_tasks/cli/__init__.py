"""Here: the command line, ``./ecg``; one module for each noun. Not here: the stack (``deploy.embedded``) or the work itself (``pipeline``).

Nothing heavy is imported before a command needs it: ``./ecg --help`` answers at once.
"""
