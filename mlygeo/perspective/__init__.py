"""Perspective pictures out of panoramas and flat pictures: sampled, and written as files with their metadata."""
