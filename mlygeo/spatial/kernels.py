"""
Which kernels run: those compiled with Numba once loading them pays, those of NumPy before and where Numba is absent.

Both give the same bits. To load compiled code takes half a second in each process, however much it then does. So
the time is added up that it would have saved since the process began: one large task loads it at once, and of many
small ones some go by before, which costs at most as much again as to load it.
"""

from __future__ import annotations

import importlib
import logging
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from types import ModuleType

    import numpy.typing as npt

Kind = TypeVar("Kind", bound=np.generic)

LOG = logging.getLogger("mlygeo.spatial.kernels")

LOADING_S = 0.5
"""Processor time that it takes to load Numba and compiled code (measured)."""


@dataclass
class _Loading:
    """
    What is known of compiled code in this process.

    Parameters
    ----------
    missed_s
        Time that it would have saved before it was loaded, seconds.
    is_absent
        Whether loading was tried in vain.
    """

    missed_s: float = 0.0
    is_absent: bool = False


_loading = _Loading()

_lock = threading.Lock()


def kernel(name: str, saves_s: float, *, compiled: bool | None = None) -> ModuleType | None:
    """
    Return a module of compiled code; None where the work is to be done by NumPy.

    Parameters
    ----------
    name
        A module of `mlygeo.spatial`.
    saves_s
        Time that it saves in the work at hand, seconds.
    compiled
        True for compiled code, False for NumPy, None for compiled code where it is installed and pays.
    """
    if compiled is False or (_loading.is_absent and not compiled):
        return None
    if compiled is None and not is_loaded():
        with _lock:
            _loading.missed_s += saves_s
        if _loading.missed_s < LOADING_S:
            return None
    try:
        with _lock:  # one thread imports, and others wait for it
            return importlib.import_module(f"mlygeo.spatial.{name}")
    except (ImportError, RuntimeError) as error:
        # Numba raises RuntimeError if no folder for its compiled code is writable.
        LOG.debug("%s without Numba: %s", name, error)
        _loading.is_absent = True
        return None


def is_loaded() -> bool:
    """Return whether this process has loaded Numba: then all compiled code pays."""
    return any(f"mlygeo.spatial.{name}" in sys.modules for name in ("grid_numba", "projection_numba"))


def given(values: npt.NDArray[Kind]) -> npt.NDArray[Kind]:
    """Return an array to be read by compiled code, one that cannot be written: for each kind it is compiled anew."""
    found = np.ascontiguousarray(values).view()
    found.flags.writeable = False
    return found
