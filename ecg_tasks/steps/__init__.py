"""Here: where storage meets signals, learning and reporting: one function a task of a DAG, in rooms by purpose. Not here: the DAGs.

At the top stands what every room rests on (``workspace``, ``code_version``, ``audit`` with ``audit_check``), and ``render``, which is
the whole DAG ``render_spectrograms``. The rooms, from those that know most of the others to those that know fewest, as import-linter
holds it: ``lineage``, ``browse``, ``classifying`` and ``offline``, ``monitoring``, ``training``, ``ingesting`` and ``maintenance``,
``reviewing`` and ``champions``.
"""
