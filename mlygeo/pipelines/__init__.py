"""
The jobs behind the verbs, as functions: the same names, options and defaults.

Each returns a frame, where its verb writes files; what joins readers, spatial steps and actors
for both is in `mlygeo.jobs`.
"""

from mlygeo.pipelines.drawing import plot
from mlygeo.pipelines.region import select, streets, tiles

__all__ = ["plot", "select", "streets", "tiles"]
