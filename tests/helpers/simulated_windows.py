"""
A plugin of pytest: test files and helpers see the `os`, `signal` and `sys` of Windows, and lack the modules of Unix.

Only their own imports are changed: the standard library and packages work as they do here, so this serves to collect
tests, not to run them. At the end of the collection, a line of JSON for each test is written to the file that
`MLYGEO_COLLECTED` names: its path, the name of its function and whether a mark skips it.
"""

from __future__ import annotations

import builtins
import json
import os
import signal
import sys
from pathlib import Path
from types import ModuleType

from helpers.unix import MODULES, OF_OS, OF_SIGNAL, TESTS

_import = builtins.__import__


class _Facade(ModuleType):
    """A module as it is, but for some names that are missing or other."""

    def __init__(self, real: ModuleType, missing: tuple[str, ...], **others: str) -> None:
        super().__init__(real.__name__)
        self.__dict__.update(others)
        self.__dict__.update(_real=real, _missing=frozenset(missing))

    def __getattr__(self, name: str):
        if name in self._missing:
            raise AttributeError(f"Windows has no {self.__name__}.{name}", name=name, obj=self)
        return getattr(self._real, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._real, name, value)


FACADES = {
    "os": _Facade(os, (*OF_OS, "symlink"), name="nt"),
    "signal": _Facade(signal, OF_SIGNAL),
    "sys": _Facade(sys, (), platform="win32"),
}


def _importing(name, *rest, **more):
    scope = rest[0] if rest else more.get("globals")
    level = rest[3] if len(rest) > 3 else more.get("level", 0)
    file = (scope or {}).get("__file__")
    if file and level == 0 and Path(file).is_relative_to(TESTS):
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name in FACADES:
            return FACADES[name]
    return _import(name, *rest, **more)


builtins.__import__ = _importing
for name in [name for name in sys.modules if name == "conftest" or name.startswith("helpers.")]:
    if name != __name__:
        del sys.modules[name]  # loaded before, with the modules of this system


def pytest_collection_finish(session):
    with Path(os.environ["MLYGEO_COLLECTED"]).open("w", encoding="utf-8") as file:
        for item in session.items:
            is_skipped = any(mark.args and mark.args[0] is True for mark in item.iter_markers("skipif"))
            found = {"file": str(item.path), "name": item.originalname, "is_skipped": is_skipped}
            file.write(json.dumps(found) + "\n")
