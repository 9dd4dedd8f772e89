"""
Which kernels run: those compiled with Numba once loading them pays, those of NumPy before and where Numba is absent.

Both give the same bits. To load compiled code takes its time in each process, however much it then does. So the time
is added up that it would have saved since the process began: one large task loads it at once, and of many small ones
some go by before, which costs at most as much again as to load it.
"""

from __future__ import annotations

import importlib
import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from types import ModuleType

    import numpy.typing as npt

    from mlygeo.compiled import Library

Kind = TypeVar("Kind", bound=np.generic)

LOG = logging.getLogger("mlygeo.spatial.kernels")

MODULES = ("mlygeo.spatial.projection_numba", "mlygeo.arrays_numba", "mlygeo.spatial.grid_numba")
"""Modules of compiled code that a selection needs, in the order in which it needs them."""

LOADING_S, COMPILING_S = 0.05, 0.5
"""
Processor time that work has to save before compiled code is loaded for it, which takes as long (measured); and before
it is compiled, which takes seconds, but once for all processes.
"""


@dataclass
class _Loading:
    """
    What is known of compiled code in this process.

    Parameters
    ----------
    missed_s
        Time that it would have saved so far, seconds.
    is_absent
        Whether loading was tried in vain.
    loaded
        The modules whose code is loaded.
    """

    missed_s: float = 0.0
    is_absent: bool = False
    loaded: set[str] = field(default_factory=set)


_loading = _Loading()

_lock = threading.Lock()


def kernel(name: str, saves_s: float, *, compiled: bool | None = None) -> ModuleType | None:
    """
    Return a module of compiled code; None where the work is to be done by NumPy.

    Parameters
    ----------
    name
        Its name.
    saves_s
        Time that it saves in the work at hand, seconds.
    compiled
        True for compiled code, False for NumPy, None for compiled code where it is installed and pays.
    """
    if compiled is False or (_loading.is_absent and not compiled):
        return None
    with _lock:
        _loading.missed_s += saves_s
        if compiled is None and name not in _loading.loaded and _loading.missed_s < LOADING_S:
            return None
    try:
        with _lock:  # one thread loads, and others wait for it
            module = importlib.import_module(name)
            code: Library = module.CODE
            if compiled is None and _loading.missed_s < COMPILING_S and not code.is_made():
                return None
            code.load()
            _loading.loaded.add(name)
            return module
    except (ImportError, RuntimeError) as error:
        # RuntimeError is raised if no folder for compiled code is writable.
        LOG.debug("%s without Numba: %s", name, error)
        _loading.is_absent = True
        return None


def load(saves_s: float) -> None:
    """Load the compiled code of a selection, which saves so many seconds; of use in a thread, while others read."""
    for name in MODULES:
        kernel(name, saves_s / len(MODULES))


def given(values: npt.NDArray[Kind]) -> npt.NDArray[Kind]:
    """Return an array without gaps, as compiled code takes it."""
    return np.ascontiguousarray(values)
