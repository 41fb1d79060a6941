"""Quality of a classifier, as numbers with intervals: metrics, calibration, thresholds, comparison, splits. NumPy, seldom SciPy."""
