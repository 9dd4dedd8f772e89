"""Sampling videos into frames."""
