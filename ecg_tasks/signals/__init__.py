"""Here: recordings, beats, spectrograms and pictures as arrays, with NumPy. Not here: reading or writing files."""
