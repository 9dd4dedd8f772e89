"""
Moving photos to other folders, and back: nothing is overwritten, and each move is recorded before it is done.

The journal is a text file with one line a move. A move counts as done if the file is at its new path and no
longer at the old one, whatever the journal says, so that a run may be killed at any line.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mlygeo import store
from mlygeo.errors import FileError, FormatError
from mlygeo.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger("mlygeo.photos.moves")

JOURNAL = "moves.jsonl"


def move_files(
    targets: Mapping[str, str], journal: Path, *, progress: Progress | None = None
) -> tuple[dict[str, str], dict[str, str]]:
    """
    Move files.

    Parameters
    ----------
    targets
        The new path of each file. Missing folders are made.
    journal
        The file in which moves are recorded.
    progress
        Where progress is shown.

    Returns
    -------
    moved
        The new path of each moved file.
    failed
        Reasons for files that were not moved.

    Raises
    ------
    FileError
        If the journal cannot be written.

    Examples
    --------
    >>> move_files({"DCIM/1.jpg": "sorted/duplicates/1.jpg"}, Path("DCIM/.mlygeo/moves.jsonl"))
    """
    moved: dict[str, str] = {}
    failed: dict[str, str] = {}
    try:
        journal.parent.mkdir(parents=True, exist_ok=True)
        with (
            journal.open("a", encoding="utf-8") as notes,
            (progress or Progress()).bar("move", total=len(targets), unit="photos") as bar,
        ):
            for source, target in targets.items():
                made = [str(folder) for folder in Path(target).parents if not folder.exists()]
                notes.write(json.dumps({"from": source, "to": target, **({"made": made} if made else {})}) + "\n")
                notes.flush()
                os.fsync(notes.fileno())
                reason = _move(Path(source), Path(target))
                if reason is None:
                    moved[source] = target
                else:
                    failed[source] = reason
                bar.advance()
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise store.file_error(error, journal) from error
    log.info("%d files moved, %d could not be", len(moved), len(failed))
    return moved, failed


def read_moves(journal: Path) -> dict[str, str]:
    """
    Return the recorded moves that took place: the old and the new path of each file.

    Raises
    ------
    FormatError
        If it is no journal.
    FileError
        If it cannot be read.
    """
    places: dict[str, list[str]] = {}
    for source, target, _ in _notes(journal):
        origin = next((origin for origin, known in places.items() if known[-1] == source), source)
        places.setdefault(origin, [origin]).append(target)
    # A failed move left its file in place: the first path that exists is the file's.
    now = {origin: next(filter(os.path.lexists, known), origin) for origin, known in places.items()}
    return {origin: place for origin, place in now.items() if origin != place}


def undo_moves(journal: Path, *, progress: Progress | None = None) -> tuple[dict[str, str], dict[str, str]]:
    """
    Move files back to where they were before all moves of a journal, and remove the folders made for them.

    Parameters
    ----------
    journal
        The journal.
    progress
        Where progress is shown.

    Returns
    -------
    moved
        The path of each file before and after moving it back.
    failed
        Reasons for files that were not moved back.

    Raises
    ------
    FormatError
        If it is no journal.
    FileError
        If it cannot be read or written.
    """
    back = {place: origin for origin, place in read_moves(journal).items()}
    made = {folder for _, _, folders in _notes(journal) for folder in folders}
    moved, failed = move_files(back, journal, progress=progress)
    for folder in sorted(made, key=len, reverse=True):
        with suppress(OSError):  # the folder has other files: then it stays
            Path(folder).rmdir()
    if not failed:
        journal.unlink(missing_ok=True)
    return moved, failed


def _notes(journal: Path) -> list[tuple[str, str, list[str]]]:
    """Return the old and new paths of recorded moves, and the folders made for each."""
    try:
        lines = journal.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{journal} cannot be read: {error}") from error
    notes = []
    for number, line in enumerate(lines, 1):
        try:
            move = json.loads(line)
            notes.append((str(move["from"]), str(move["to"]), [str(folder) for folder in move.get("made", ())]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if number == len(lines):
                break  # the last line of a killed run; its move had not begun
            raise FormatError(f"{journal}: line {number} is no move") from error
    return notes


def _move(source: Path, target: Path) -> str | None:
    """Move a file; return the reason if that is impossible, else None."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Link the new name, then remove the old one: unlike a rename, this never replaces a file.
            os.link(source, target, follow_symlinks=False)
        except FileExistsError:
            if not target.samefile(source):
                return f"there is a file {target} already"
        except OSError as error:
            if error.errno not in {errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EACCES}:
                raise
            if os.path.lexists(target):
                return f"there is a file {target} already"
            with store.atomic(target) as temporary:
                shutil.copy2(source, temporary, follow_symlinks=False)
                if not source.is_symlink() and temporary.read_bytes() != source.read_bytes():
                    raise FileError(f"{target} came back different from the disk; {source.name} was left") from error
        source.unlink()
    except FileError as error:
        return str(error)
    except OSError as error:
        return f"{error.strerror or error}"
    return None
