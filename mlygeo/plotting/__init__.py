"""Frames as pictures (Matplotlib) and interactive maps (one HTML file), with the attribution their licences ask for."""

from mlygeo.plotting.layers import each_of, layers_of
from mlygeo.plotting.page import Map, check_basemap, explore
from mlygeo.plotting.picture import draw, draw_layers

__all__ = ["Map", "check_basemap", "draw", "draw_layers", "each_of", "explore", "layers_of"]
