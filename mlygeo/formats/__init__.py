"""File formats: bytes to values and back, without frames, paths and sockets, and with NumPy at most."""
