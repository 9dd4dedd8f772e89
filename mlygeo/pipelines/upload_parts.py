"""What uploads of any kind have in common: settings of the environment, the history beside the files, and sentences."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo.errors import FileError, FormatError, InputError, NotDescribedError
from mlygeo.pipelines.job import Job, tally, version
from mlygeo.progress import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from mlygeo.uploads.found import Import

    PathLike = str | os.PathLike[str]

log = logging.getLogger("mlygeo.pipelines")

HISTORY_FILE = Path(".mlygeo") / "upload_history.parquet"

NAMED = 5
"""Archives and videos that are left out which the headline names; the summary names all."""


def setting(name: str, given: int | None, default: int | None) -> int | None:
    """Return a number: as given, else as the environment has it, else the default."""
    variable, source = name.upper(), f"`{name}`"
    text = os.environ.get(variable, "").strip()
    if given is None and text and default is not None:
        if not text.isdigit():
            raise InputError(f"the environment variable {variable} is not a number: {text[:40]!r}")
        given, source = int(text), variable
    if given is not None and given < 1:
        raise InputError(f"{source} must be 1 or more, not {given}")
    return default if given is None else given


def check_history(output: PathLike | None) -> None:
    """Raise FormatError where the history, a table without places, would be written under the name of a format."""
    from mlygeo import store

    path = Path(output) if output else HISTORY_FILE
    if path.suffix.lower() not in store.PARQUET:
        raise FormatError(
            f"{path.name}: the history of uploads is written as .parquet",
            hint=f"name {path.with_suffix('.parquet').name}; it has no places that a map could show",
        )


def write_history(
    rows: list[tuple[Any, ...]], output: PathLike | None, import_path: PathLike | Iterable[PathLike]
) -> Path | None:
    """Write the history of these files as a frame, if the folder is writable."""
    from mlygeo import store
    from mlygeo.uploads.ledger import as_frame

    first = import_path if isinstance(import_path, str | os.PathLike) else next(iter(import_path))
    place = Path(first).expanduser()
    path = Path(output).expanduser() if output else (place if place.is_dir() else place.parent) / HISTORY_FILE
    try:
        with store.atomic(path) as temporary:
            as_frame(rows).to_parquet(temporary, index=False)
    except FileError as error:
        if output:
            raise
        log.warning("the history is kept, but not written beside the images: %s", error)
        return None
    return path


def skipped_text(found: Import, more: int = 0) -> str:
    """Return what was skipped and how much failed, in words; `more` failed besides what was found."""
    skipped = tally(dict(sorted((+found.skipped).items())))
    text = f"; skipped: {skipped}" if skipped else ""
    if names := sorted(Path(path).name for path in found.left_out if is_archive(path)):
        text += f" ({', '.join(names[:NAMED])}{', …' if len(names) > NAMED else ''}: no archives of a sequence)"
    failed = len(found.failed) + more
    return text + (f"; {failed:,} failed" if failed else "")


def first_reason(failed: dict[str, str]) -> str:
    """Return a line with the reason of the first failure."""
    if not failed:
        return ""
    name, reason = next(iter(sorted(failed.items())))
    name = Path(name).name
    return f"\n{reason}" if reason.startswith(name) else f"\n{name}: {reason}"


def no_frame() -> pd.DataFrame:
    """Return the history of no files."""
    from mlygeo.uploads.ledger import as_frame

    return as_frame([])


def megabytes(number: int) -> str:
    """Return a number of bytes in words."""
    return f"{number / 1e6:,.1f} MB"


def is_archive(path: str) -> bool:
    """Return whether the name of a file is that of an archive."""
    return path.lower().endswith(".zip")


def nothing(found: Import, others: str = "") -> Job[pd.DataFrame]:
    """
    Return the job of an upload for which there is nothing.

    Parameters
    ----------
    found
        What was looked through.
    others
        What the headline says of other files there.

    Raises
    ------
    NotDescribedError
        If there are photos, but the descriptions that were given have none of them.
    """
    from mlygeo.uploads.found import UNLISTED

    if number := found.skipped[UNLISTED]:
        raise NotDescribedError(
            f"the image descriptions given have no entry for {counted(number, 'photo')}, and nothing else to upload",
            hint="without `desc_path` the descriptions of the folders count",
        )
    summary = {
        "images": 0, "skipped": dict(+found.skipped), "left_out": found.left_out, "failed": len(found.failed),
        "version": version(),
    }  # fmt: skip
    headline = f"there is nothing to upload{skipped_text(found)}{others}{first_reason(found.failed)}"
    return Job(no_frame, summary, headline, failed=sorted(found.failed))
