"""Spatial steps: frames in, frames out; no input or output, no clock, no randomness but a seed's."""
