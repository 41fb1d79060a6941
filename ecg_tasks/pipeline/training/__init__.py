"""Here: what ``retrain_model`` is made of: data, splits, candidates, verdicts. Not here: its tasks, or what serves (``champions``)."""
