"""Bytes to values and back: no frame, no path, no socket, nothing heavier than NumPy."""
