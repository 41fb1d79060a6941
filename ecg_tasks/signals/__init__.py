"""Recordings, beats, spectrograms and pictures, as arrays. NumPy and SciPy, wfdb for one format, OpenCV for PNG; no I/O."""
