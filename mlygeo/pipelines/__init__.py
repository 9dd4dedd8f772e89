"""
The jobs behind the verbs, as functions: the same names, options and defaults.

Each returns a frame, where its verb writes files; what joins readers, spatial steps and actors
for both is in `mlygeo.jobs`. The functions are bound on first use, so that a verb loads its own
module alone. No module here has the name of a function: imported, it would take the function's place.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
