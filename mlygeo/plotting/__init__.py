"""Frames as pictures (Matplotlib) and interactive maps (one HTML file), with the attribution their licences ask for."""

from mlygeo.plotting.page import Map, explore
from mlygeo.plotting.picture import draw

__all__ = ["Map", "draw", "explore"]
