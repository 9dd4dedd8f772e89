"""
Street-level imagery as GeoDataFrames: fetch, select, write.

Public names are bound on first use, so that `import mlygeo` costs next to nothing. A token never
appears in a message or a log, and the library prints nothing; logging goes to "mlygeo".
"""

import logging
from types import FunctionType

import lazy_loader

_public_name, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    if name == "__version__":  # metadata takes longer to read than all else here
        from importlib.metadata import version

        return version("mlygeo")
    found = _public_name(name)
    if isinstance(found, FunctionType) and not hasattr(found, "body"):
        from mlygeo.pipelines.arguments import at_the_door

        found = globals()[name] = at_the_door(found, name)
    return found


logging.getLogger("mlygeo").addHandler(logging.NullHandler())
