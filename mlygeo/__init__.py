"""
Street-level imagery as GeoDataFrames: fetch, select, write.

Public names are bound on first use, so that `import mlygeo` costs next to nothing. A token never
appears in a message or a log, and the library prints nothing; logging goes to "mlygeo".
"""

import logging

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

logging.getLogger("mlygeo").addHandler(logging.NullHandler())
