"""What the steps of a run share, and where the results of each lie until it is done."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlygeo.errors import FileError
from mlygeo.store.atomic import file_error
from mlygeo.store.datasets import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mlygeo.store.datasets.form import Form
    from mlygeo.store.datasets.layout import Leaves
    from mlygeo.store.datasets.source import Source, Span


@dataclass(frozen=True)
class Work:
    """
    A run that writes a dataset.

    Parameters
    ----------
    folder
        Where it keeps what it has done.
    sources
        The inputs.
    pieces
        Tasks of reading them.
    form
        The columns of the parts.
    most
        Most rows of a part.
    buckets
        Into how many buckets the ids are counted: a bucket fits into memory.
    threads
        Whether a task may use several threads.
    rehearsal
        Whether rows are only counted.
    leaves
        The cells that get parts; none before rows are counted.
    written
        Which of these cells are written, ascending; None for all. After the last of `leaves` comes the one
        without position.
    repeated
        Whether ids stand in several rows.
    gaps
        Columns in which some rows have no value.
    """

    folder: Path
    sources: tuple[Source, ...]
    pieces: tuple[tuple[Span, ...], ...]
    form: Form
    most: int
    buckets: int
    threads: bool
    rehearsal: bool = False
    leaves: Leaves = field(default_factory=layout.no_leaves)
    written: tuple[int, ...] | None = None
    repeated: bool = False
    gaps: frozenset[str] = frozenset()

    @property
    def cells(self) -> int:
        """The number of cells that may have parts, with the one for rows without position."""
        return len(self.leaves) + 1

    def is_new(self, piece: int) -> bool:
        """Return whether the rows of a piece come into a dataset that is there."""
        first = self.sources[self.pieces[piece][0].source]
        return first.generation > 0 and not first.hides

    def hides(self, piece: int) -> bool:
        """Return whether the rows of a piece only keep others out of the dataset."""
        return self.sources[self.pieces[piece][0].source].hides

    def file(self, step: str, number: int, ending: str) -> Path:
        """Return the path of a result of a task."""
        return self.folder / f"{step}-{number}{ending}"


def done(work: Work, step: str, number: int, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """
    Return the counts of a task, which is done unless an earlier run did.

    Parameters
    ----------
    work
        The run.
    step, number
        Name the task.
    make
        Does it: its files are complete when it returns.
    """
    path = work.file(step, number, ".json")
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        pass
    except ValueError:
        path.unlink()
    else:
        return found
    found = make()
    with whole(path) as temporary:
        temporary.write_text(json.dumps(found), encoding="utf-8")
    return found


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path, and rename it in the end; what killed processes leave goes with the run's folder."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise file_error(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)
