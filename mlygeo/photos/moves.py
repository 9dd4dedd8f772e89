"""
Moving photos to other folders, and back: nothing is overwritten, and each move is recorded before it is done.

The journal is a text file with one line a move. A move counts as done if the file is at its new path and no
longer at the old one, whatever the journal says, so that a run may be killed at any line.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import unicodedata
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlygeo import store, systems
from mlygeo.errors import FileError, FormatError
from mlygeo.progress import Progress, keep

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

log = logging.getLogger("mlygeo.photos.moves")

JOURNAL = "moves.jsonl"


def move_files(
    targets: Mapping[str, str], journal: Path, *, links: Collection[str] = (), progress: Progress | None = None
) -> tuple[dict[str, str], dict[str, str]]:
    """
    Move files.

    A photo gets its new name first, and loses the old one once the new one is proven to be another entry of a
    folder: the same file by another path (a linked folder, another spelling of a name) is never removed. Symbolic
    links go along: a link that is moved, or whose photo is, still reaches its photo, or nothing is moved.

    Parameters
    ----------
    targets
        The new path of each file. Missing folders are made.
    journal
        The file in which moves are recorded.
    links
        Further files which may be symbolic links to those that are moved; they are set to the new paths.
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
        If the journal cannot be read or written.
    FormatError
        If it is not a journal.

    Examples
    --------
    >>> move_files({"DCIM/1.jpg": "sorted/duplicates/1.jpg"}, Path("DCIM/.mlygeo/moves.jsonl"))
    """
    moved: dict[str, str] = {}
    begun = {(note.source, note.target) for note in _notes(journal)}
    failed = _impossible(targets, begun)
    leading = _Links([*targets, *links])
    try:
        journal.parent.mkdir(parents=True, exist_ok=True)
        _cut_last_line(journal)
        with (
            journal.open("a", encoding="utf-8") as notes,
            (progress or Progress()).bar("move", total=len(targets), unit="photos") as bar,
        ):

            def note(line: Mapping[str, Any]) -> None:
                notes.write(json.dumps(line) + "\n")
                notes.flush()
                os.fsync(notes.fileno())

            for source, target in targets.items():
                if source not in failed:
                    made = [str(folder) for folder in Path(target).parents if not folder.exists()]
                    followers = leading.to(source)
                    keep("the photos moved so far are in their new places")
                    note(
                        {
                            "from": source,
                            "to": target,
                            **({"made": made} if made else {}),
                            **({"links": followers} if followers else {}),
                        }
                    )
                    reason = _move(
                        Path(source),
                        Path(target),
                        [Path(link) for link in followers],
                        is_begun=(source, target) in begun,
                    )
                    if reason is None:
                        moved[source] = target
                        leading.moved(source, target)
                    else:
                        failed[source] = reason
                        note({"failed": source, "to": target})
                bar.advance()
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise store.file_error(error, journal) from error
    log.info("%d files moved, %d could not be", len(moved), len(failed))
    return moved, failed


def is_same_entry(path: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """
    Return whether two paths are one entry of one folder, so that removing the one removes the other.

    Hard links are two entries. One entry may have several paths: through symbolic links to folders, or by other
    spellings of its name, where the file system folds case or forms of Unicode.
    """
    path, other = Path(path), Path(other)
    try:
        if not path.parent.samefile(other.parent):
            return False
        if path.name == other.name:
            return True
        if not os.path.samestat(path.lstat(), other.lstat()):
            return False
        with os.scandir(path.parent) as entries:
            return not {path.name, other.name} <= {entry.name for entry in entries}
    except OSError:
        return False  # a path that is not there is no entry


def read_moves(journal: Path) -> dict[str, str]:
    """
    Return the recorded moves that took place: the old and the new path of each file.

    Raises
    ------
    FormatError
        If it is not a journal.
    FileError
        If it cannot be read.
    """
    places: dict[str, list[str]] = {}
    origin_of: dict[str, str] = {}
    for note in _notes(journal):
        origin = origin_of.pop(note.source, note.source)
        places.setdefault(origin, [origin]).append(note.target)
        origin_of[note.target] = origin
    now = {origin: _last_place(known) for origin, known in places.items()}
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
        If it is not a journal.
    FileError
        If it cannot be read or written.
    """
    back = {place: origin for origin, place in read_moves(journal).items()}
    notes = _notes(journal)
    links = {link for note in notes for link in note.links if Path(link).is_symlink()}
    moved, failed = move_files(back, journal, links=links - back.keys(), progress=progress)
    for folder in sorted({folder for note in notes for folder in note.made}, key=len, reverse=True):
        with suppress(OSError):  # the folder has other files: then it stays
            Path(folder).rmdir()
    if not failed:
        journal.unlink(missing_ok=True)
    return moved, failed


class _Note(NamedTuple):
    """A recorded move: old and new path, folders made for it, and links that were set to the new path."""

    source: str
    target: str
    made: list[str]
    links: list[str]


def _notes(journal: Path) -> list[_Note]:
    """Return the recorded moves, without those that failed."""
    try:
        lines = journal.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{journal} cannot be read: {error}") from error
    notes: list[_Note] = []
    for number, line in enumerate(lines, 1):
        try:
            move = json.loads(line)
            if "failed" in move:
                if notes and notes[-1][:2] == (move["failed"], move["to"]):
                    notes.pop()
                continue
            folders, links = ([str(path) for path in move.get(name, ())] for name in ("made", "links"))
            notes.append(_Note(str(move["from"]), str(move["to"]), folders, links))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if number == len(lines):
                break  # the last line of a killed run; its move had not begun
            raise FormatError(f"{journal}: line {number} is not a move") from error
    return notes


def _cut_last_line(journal: Path) -> None:
    """Remove the beginning of a line that a killed run has left; its move had not begun."""
    with suppress(FileNotFoundError), journal.open("rb+") as file:
        text = file.read()
        file.truncate(text.rfind(b"\n") + 1)


def _last_place(known: list[str]) -> str:
    """
    Return where a file is, of the paths it had one after another; the first where it is nowhere.

    A killed run may leave it under two of them: then it is still at the earlier one. Another file may have come
    to an earlier path since.
    """
    there = [place for place in known if os.path.lexists(place)]
    if not there:
        return known[0]
    return next((place for place in there if place == there[-1] or _is_same_content(place, there[-1])), known[0])


def _is_same_content(path: str, other: str) -> bool:
    with suppress(OSError):
        return Path(path).samefile(other) or Path(path).read_bytes() == Path(other).read_bytes()
    return False


def _impossible(targets: Mapping[str, str], begun: Collection[tuple[str, str]]) -> dict[str, str]:
    """Return why files cannot be moved to their new paths, before anything is moved."""
    reasons: dict[str, str] = {}
    taken: dict[str, str] = {}
    for source, target in targets.items():
        first = taken.setdefault(target, source)
        try:
            reason = f"{target} is the new path of {first} too" if first != source else None
            reason = reason or _why_not(Path(source), Path(target), is_begun=(source, target) in begun)
        except OSError as error:
            reason = f"{error.strerror or error}"
        if reason is not None:
            reasons[source] = reason
    return reasons


def _why_not(source: Path, target: Path, *, is_begun: bool) -> str | None:
    if not os.path.lexists(source):
        return "it is not there any more"
    if is_same_entry(source, target):
        return f"{target} is the same file by another path"
    if source.is_symlink() and not source.exists():
        return f"it is a symbolic link to nothing, {source.readlink()}"
    if os.path.lexists(target) and not (is_begun and _has_both_names(source, target)):
        return f"there is a file {target} already"
    return None


def _has_both_names(source: Path, target: Path) -> bool:
    """Return whether a file has its new name beside the old one, as a killed run leaves it."""
    if is_same_entry(source, target):
        return False
    if source.is_symlink():
        return target.is_symlink() and target.exists() and target.samefile(source)
    return os.path.samestat(source.lstat(), target.lstat())


class _Links:
    """The symbolic links among some files, and where they are now."""

    def __init__(self, paths: Collection[str]) -> None:
        self._leading: dict[tuple[int, int, str], list[str]] = {}
        self._now: dict[str, str] = {}
        for path in paths:
            link = Path(path)
            if link.is_symlink():
                with suppress(OSError):  # a link to nothing reaches no file that is moved
                    self._leading.setdefault(_entry(_reached(link)), []).append(path)

    def to(self, path: str) -> list[str]:
        """Return the links, where they are now, that reach a file in one step."""
        if not self._leading:
            return []
        with suppress(OSError):
            links = [self._now.get(link, link) for link in self._leading.get(_entry(Path(path)), ())]
            return [link for link in links if is_same_entry(_reached(Path(link)), path)]
        return []

    def moved(self, source: str, target: str) -> None:
        """Note that a link is at another path now."""
        if Path(target).is_symlink():
            self._now[source] = target


def _entry(path: Path) -> tuple[int, int, str]:
    """Return the folder of a path, whatever it is called, and the name, which the disk may fold."""
    folder = path.parent.stat()
    return folder.st_dev, folder.st_ino, unicodedata.normalize("NFKD", path.name).casefold()


def _reached(link: Path) -> Path:
    """Return the path that a symbolic link names, which may be a link too."""
    return Path(os.path.realpath(link.parent)) / link.readlink()


def _text(link: Path, target: Path) -> str:
    """Return the text with which a link at another path reaches what it reaches now."""
    return _leads(_reached(link), target, is_relative=not link.readlink().is_absolute())


def _leads(reached: Path, link: Path, *, is_relative: bool) -> str:
    """Return the text of a link at some path that reaches another one."""
    if not is_relative:
        return str(reached.absolute())
    folder = Path(os.path.realpath(reached.parent))
    try:
        # The system follows "..", from the folder where the link really is.
        return os.path.relpath(folder / reached.name, os.path.realpath(link.parent))
    except ValueError:  # on another drive of Windows
        return str(folder / reached.name)


def _move(source: Path, target: Path, followers: list[Path], *, is_begun: bool) -> str | None:
    """Move a file, and set the links that reach it; return the reason if that is impossible, else None."""
    is_new = not os.path.lexists(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        reason = _second_name(source, target, is_begun=is_begun)
        if reason is not None:
            return reason
        for at, link in enumerate(followers):
            try:
                _set_link(link, target)
            except OSError:
                for done in followers[:at]:
                    _set_link(done, source)
                if is_new and _is_elsewhere(target, source):
                    target.unlink()
                raise
        if not _is_elsewhere(source, target):
            return f"{target} came back different from the disk; {source.name} was left"
        source.unlink()
    except FileError as error:
        return str(error)
    except OSError as error:
        return f"{error.strerror or error}"
    return None


def _second_name(source: Path, target: Path, *, is_begun: bool) -> str | None:
    """Give a file a second name, in another folder; return the reason if that is impossible, else None."""
    if os.path.lexists(target):
        return None if is_begun and _has_both_names(source, target) else f"there is a file {target} already"
    if source.is_symlink():
        target.symlink_to(_text(source, target))
        if target.exists() and target.samefile(source):
            return None
        target.unlink()
        return f"from {target.parent} it would reach another file, or none"
    try:
        # Link the new name, then remove the old one: unlike a rename, this never replaces a file.
        if systems.linked(target, source):
            return None
    except FileExistsError:
        return f"there is a file {target} already"
    with store.atomic(target) as temporary:
        systems.copy(source, temporary)
        if temporary.read_bytes() != source.read_bytes():
            raise FileError(f"{target} came back different from the disk; {source.name} was left")
        if os.path.lexists(target):
            raise FileError(f"there is a file {target} already")
    return None


def _set_link(link: Path, reached: Path) -> None:
    """Let a symbolic link reach another path, in one step."""
    text = _leads(reached, link, is_relative=not link.readlink().is_absolute())
    with tempfile.TemporaryDirectory(prefix=f".{link.name[:40]}.", suffix=".part", dir=link.parent) as folder:
        new = Path(folder) / link.name
        new.symlink_to(text)
        new.replace(link)


def _is_elsewhere(path: Path, other: Path) -> bool:
    """Return whether what a path has is at another entry of a folder too, so that the path may be removed."""
    if is_same_entry(path, other) or not os.path.lexists(other):
        return False
    if path.is_symlink():
        return other.is_symlink() and other.exists() and other.samefile(path)
    return not other.is_symlink() and (
        os.path.samestat(path.lstat(), other.lstat()) or path.read_bytes() == other.read_bytes()
    )
