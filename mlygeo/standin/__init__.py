"""
A local stand-in of Mapillary and Panoramax, for tests, demonstrations and rehearsals.

It serves the images of a frame over real sockets on this machine, and misbehaves as configured
in `Faults`.
"""

from mlygeo.standin.faults import Faults
from mlygeo.standin.imagery import Imagery
from mlygeo.standin.pictures import Pictures
from mlygeo.standin.server import Server, serve, start

__all__ = ["Faults", "Imagery", "Pictures", "Server", "serve", "start"]
