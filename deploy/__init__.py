"""Here: the ways to run the system: ``embedded`` on one machine, ``compose`` and ``kubernetes`` on many. Not here: what it computes."""
