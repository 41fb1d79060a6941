"""Here: how good a classifier is, in numbers with intervals: metrics, calibration, thresholds, comparison, splits. Not here: files."""
