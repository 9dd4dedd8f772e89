"""Spatial steps: frames in, frames out; no input or output, no clock, no randomness."""
