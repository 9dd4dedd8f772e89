"""Frames in, files and requests out."""
