"""Here: what pytest shall not read. Not here: what a test needs."""

collect_ignore = ["compose_scale.py"]  # a program that imports its neighbour as programs do
