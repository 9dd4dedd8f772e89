"""
What holds in a process that mlygeo has to itself: that of the command, and those of its workers.

Arrow loads pandas the first time that it is given anything, only to tell whether it is of pandas. That takes a fifth of
a second of processor time, which most verbs do not need.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType


def without_pandas() -> None:
    """Let Arrow do without pandas until something loads pandas; a process that has loaded either stays as it is."""
    if not {"pandas", "pyarrow"} & sys.modules.keys():
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds pandas and Arrow as Python does, and does something once they are loaded."""

    def __init__(self) -> None:
        self._is_hidden = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return where a module is, if it is one of these."""
        if fullname not in {"pandas", "pyarrow"}:
            return None
        if fullname == "pandas" and self._is_hidden:
            raise ModuleNotFoundError("pandas is not looked for yet", name=fullname)
        found = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if found is not None and found.loader is not None:
            then = self._look_for_none if fullname == "pyarrow" else _look_again
            found.loader.exec_module = _followed(found.loader.exec_module, then)  # type: ignore[method-assign, assignment]
        return found

    def _look_for_none(self) -> None:
        """Let Arrow look for pandas now, and find none, unless it is pandas that loads Arrow."""
        if "pandas" in sys.modules:
            return
        self._is_hidden = True
        try:
            importlib.import_module("pyarrow").array([0])
        finally:
            self._is_hidden = False


def _look_again() -> None:
    """Let Arrow look for pandas once more, as it does where it must have it."""
    arrow: Any = sys.modules.get("pyarrow")
    if arrow is not None and hasattr(arrow, "nulls"):  # else it is being loaded
        arrow.nulls(0).to_pandas()


def _followed(load: Callable[[ModuleType], Any], then: Callable[[], None]) -> Callable[[ModuleType], None]:
    def loaded(module: ModuleType) -> None:
        load(module)
        then()

    return loaded
