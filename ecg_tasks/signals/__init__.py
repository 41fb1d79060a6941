"""Recordings, beats, spectrograms and pictures, as arrays. NumPy; where it is called SciPy, wfdb for one format, OpenCV for PNG; no I/O."""
