"""Frames as pictures (Matplotlib) and interactive maps (one HTML file), with the attribution their licences ask for."""

from mlygeo.plotting.ground import ground_of
from mlygeo.plotting.layers import each_of, layers_of
from mlygeo.plotting.page import Map, check_thumbnails, explore
from mlygeo.plotting.picture import draw, draw_layers

__all__ = ["Map", "check_thumbnails", "draw", "draw_layers", "each_of", "explore", "ground_of", "layers_of"]
