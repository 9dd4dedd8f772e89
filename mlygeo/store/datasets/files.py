"""The files that a value names: a folder's, a pattern's, or several paths; each once, in the order of their paths."""

from __future__ import annotations

import fnmatch
import logging
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.progress import counted
from mlygeo.store import paths, sidecars, stac
from mlygeo.store.datasets import layout
from mlygeo.store.datasets.index import Index, Part, content_of, index_of, read_index

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mlygeo.arrays import Bounds
    from mlygeo.store.datasets.remote import Remote, RemoteFile

log = logging.getLogger("mlygeo.store")

PARQUET = frozenset({".parquet", ".geoparquet", ".pq"})
"""Endings of GeoParquet."""

NULL = "__HIVE_DEFAULT_PARTITION__"
"""What the name of a folder says where the value is missing."""

_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")


@dataclass(frozen=True)
class File:
    """
    A file of a dataset.

    Parameters
    ----------
    path
        Where it is.
    name
        What messages call it: its path in the folder that was named.
    layer
        The layer that was named behind it; None where none was.
    keys
        Values that the names of its folders say, as in `year=2024`, by their columns; None where a value is missing.
    part
        What the index of its dataset says of it; None where there is no index.
    """

    path: Path | Remote
    name: str
    layer: str | None = None
    keys: Mapping[str, int | str | None] = field(default_factory=dict)
    part: Part | None = None

    @property
    def is_parquet(self) -> bool:
        """Whether it is read column by column."""
        return not isinstance(self.path, Path) or (self.layer is None and self.path.suffix.lower() in PARQUET)

    @property
    def footer(self) -> str | None:
        """The hash of its footer, as the index says; None where it does not."""
        return None if self.part is None else self.part.footer_sha256

    @property
    def bounds(self) -> Bounds | None:
        """The box around its rows in degrees, as the index says; None where it does not."""
        part = self.part
        if part is None or part.west is None or part.south is None or part.east is None or part.north is None:
            return None
        return part.west, part.south, part.east, part.north

    def may_meet(self, bbox: Bounds) -> bool:
        """Return whether rows of it may meet a box in degrees (west > east crosses the antimeridian)."""
        if self.part is None:
            return True
        bounds = self.bounds
        if bounds is None:  # rows without a position
            return False
        west, south, east, north = bbox
        if bounds[3] < south or bounds[1] > north:
            return False
        if abs(bounds[0]) > 180 or abs(bounds[2]) > 180 or bounds[0] > bounds[2]:  # the rows will tell
            return True
        if west <= east:
            return bounds[2] >= west and bounds[0] <= east
        return bounds[2] >= west or bounds[0] <= east


@dataclass(frozen=True)
class Listing:
    """
    The files of a dataset.

    Parameters
    ----------
    name
        What messages call it.
    files
        At least one; each once.
    index
        The index of the dataset, where one lies beside its folder.
    """

    name: str
    files: tuple[File, ...]
    index: Index | None = None

    def near(self, bbox: Bounds | None) -> Listing:
        """Return the files that may have rows in a box; where none has, one of them, which tells the columns."""
        if bbox is None or self.index is None:
            return self
        kept = tuple(file for file in self.files if file.may_meet(bbox)) or self.files[:1]
        return replace(self, files=kept)


def are_several(value: Any) -> bool:
    """Return whether a value names a dataset: a folder, a pattern, or several of what names a file."""
    if isinstance(value, Listing) or isinstance(getattr(value, "listing", None), Listing):
        return True
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(each, str | os.PathLike) for each in value)
    if not isinstance(value, str | os.PathLike):
        return False
    text = os.fspath(value)
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        return False
    if paths.is_url(text):
        return paths.address_of(text) is not None
    path = Path(text).expanduser()
    try:
        if path.exists():
            return path.is_dir() and path.suffix.lower() not in paths.FOLDERS
    except (OSError, ValueError):  # a name that no file system has
        return False
    return any(paths.has_pattern(part) for part in path.parts)


def listed(value: Any) -> Listing:
    """
    Return the files that a value names.

    In a folder these are its GeoParquet files, in folders of it, too; where it has none, the frames of another
    format, which must be all of one. Names that begin with a dot or an underscore are passed over, as is the index
    of a dataset, and files of other kinds are. A pattern has `*`, `?`, `[…]`, or `**` for folders in folders; what it
    finds is taken as the content of a folder is.

    Parameters
    ----------
    value
        A folder, a pattern, the path of a file, or several of these.

    Raises
    ------
    FileError
        If there is none, or a folder has no frames or several kinds of files.
    FormatError
        If the index of the dataset is damaged, or contradicts the folder.
    InputError
        If it is none of these.
    """
    known = getattr(value, "listing", value)
    if isinstance(known, Listing):
        return known
    several = list(value) if isinstance(value, list | tuple) else [value]
    if not several:
        raise InputError("an empty list names no file")
    found = [_of_one(each) for each in several]
    if len(found) == 1:
        return _once(found[0])
    files = tuple(file for each in found for file in each.files)
    name = f"{found[0].name} and {len(found) - 1} more"
    return _once(Listing(name, files))


def _once(listing: Listing) -> Listing:
    """Return a listing with each file once, which is told where it was not so."""
    first: dict[tuple[str, str | None], File] = {}
    for file in listing.files:
        where = os.path.realpath(file.path) if isinstance(file.path, Path) else file.path.address
        first.setdefault((where, file.layer), file)
    again = len(listing.files) - len(first)
    if again:
        twice = next(file for file in listing.files if file not in first.values() or listing.files.count(file) > 1)
        log.warning("%s: %s named twice, such as %s, and read once", listing.name,
                    f"{counted(again, 'file')} {'is' if again == 1 else 'are'}", twice.name)  # fmt: skip
    return replace(listing, files=tuple(first.values()))


def _of_one(value: Any) -> Listing:
    if isinstance(value, str | os.PathLike) and (address := paths.address_of(value)) is not None:
        return _of_address(address)
    paths.must_be_local(value, "`path`")
    text = os.fspath(value)
    path = Path(text).expanduser()
    if are_several(text):
        return _of_folder(path) if path.is_dir() else _of_pattern(text)
    file, layer = paths.parted(text)
    paths.must_exist(file)
    if file.name.endswith(layout.INDEX_ENDING):
        folder = file.with_name(file.name.removesuffix(layout.INDEX_ENDING))
        raise FileError(f"{file.name} is the index of a dataset", hint=f"name its folder, {folder}")
    return Listing(file.name, (File(file, file.name, layer),))


def _of_address(address: str) -> Listing:
    """Return the files at an address: one, or those of a folder or pattern of an object store."""
    from mlygeo.store.datasets import remote

    file = remote.remote(address)
    if remote.is_web(address):
        folder = address.endswith("/") or not PurePosixPath(file.name).suffix
        if folder and "?" not in address:
            return _of_folder_on_server(address.rstrip("/"), file.name)
        if "*" in address.partition("?")[0] and remote.open_if_there(file) is None:
            raise FileError(
                f"{address} is a pattern, and a server lists no files",
                hint="name the files, or the folder of a dataset with its index beside it",
            )
        return Listing(file.name, (_elsewhere(file),))
    if remote.exists(file):
        return Listing(file.name, (_elsewhere(file),))
    if remote.is_folder(address):
        return _of_folder_in_store(address.rstrip("/"), file.name)
    if paths.has_pattern(address):
        return _of_pattern_in_store(address)
    raise FileError(f"{address} does not exist")


def _elsewhere(
    file: Remote,
    name: str | None = None,
    *,
    keys: Mapping[str, int | str | None] | None = None,
) -> File:
    ending = PurePosixPath(file.name).suffix.lower()
    if file.name.endswith(layout.INDEX_ENDING):
        raise FileError(f"{file.name} is the index of a dataset", hint="name its folder")
    if ending in paths.READABLE - PARQUET:
        raise FileError(
            f"{file.name} lies elsewhere, and only GeoParquet is read from there", hint="download the file first"
        )
    return File(file, name or file.name, keys=keys or {})


def _of_folder_on_server(address: str, name: str) -> Listing:
    """Return the files of a dataset by its index: a server lists no files."""
    found = indexed_elsewhere(address)
    if found is None:
        raise FileError(
            f"{name} is a folder on a server, which lists no files, and {name}{layout.INDEX_ENDING} is not beside it",
            hint="name the files, or partition the dataset and put its index beside the folder",
        )
    return found[0]


def indexed_elsewhere(address: str) -> tuple[Listing, bytes, RemoteFile] | None:
    """
    Return the files of a dataset on a server or in a store, by the index beside it.

    Parameters
    ----------
    address
        The address of its folder.

    Returns
    -------
    listing, content, file
        The files, each of which is opened once; the bytes of the index, and its opened file. None without an index.

    Raises
    ------
    FileError
        If the index cannot be read, or has no rows.
    FormatError
        If it is damaged.
    """
    from mlygeo.store.datasets import remote

    folder = remote.remote(address.rstrip("/"))
    beside = remote.remote(folder.address + layout.INDEX_ENDING)
    if (opened := remote.open_if_there(beside)) is None:
        return None
    content = content_of(opened)
    index = index_of(content, beside)
    openings = remote.Openings()
    is_web = remote.is_web(address)
    parts = sorted(index.parts, key=lambda part: part.path)
    found = [f"{folder.address}/{quote(part.path, safe='/=') if is_web else part.path}" for part in parts]
    names = [remote.remote(each).name for each in found]
    members = tuple(
        File(remote.Member(each, name, part.bytes, openings), part.path, part=part)
        for each, name, part in zip(found, names, parts, strict=True)
    )
    if not members:
        raise FileError(f"{folder.name} is a dataset without rows")
    return Listing(folder.name, members, index), content, opened


def check_store(address: str, listing: Listing) -> None:
    """Raise FormatError if a folder of an object store has other files than its index names."""
    from mlygeo.store.datasets import remote

    if listing.index is None or remote.is_web(address):
        return
    found = remote.walked(address.rstrip("/"))
    sizes = {
        path: size for path, size in found if not _is_hidden(path) and PurePosixPath(path).suffix.lower() in PARQUET
    }
    _checked_parts(listing.index, sizes, listing.name, listing.name + layout.INDEX_ENDING)


def _of_folder_in_store(address: str, name: str) -> Listing:
    from mlygeo.store.datasets import remote

    found = indexed_elsewhere(address) if address.count("/") > 2 else None
    if found is not None:
        check_store(address, found[0])
        return found[0]
    return Listing(
        name, _chosen_elsewhere(address, name, [path for path, _ in remote.walked(address) if not _is_hidden(path)])
    )


def _of_pattern_in_store(address: str) -> Listing:
    from mlygeo.store.datasets import remote

    scheme, _, rest = address.partition("://")
    parts = rest.split("/")
    wild = next(number for number, part in enumerate(parts) if paths.has_pattern(part))
    if not wild:
        raise InputError(f"{address}: a bucket has to be named")
    root = f"{scheme}://{'/'.join(parts[:wild])}"
    form = re.compile(_as_regex("/".join(parts[wild:])))
    found = [path for path, _ in remote.walked(root) if not _is_hidden(path) and form.match(path)]
    if not found:
        raise FileError(f"{address} is a pattern that no file matches")
    return Listing(address, _chosen_elsewhere(root, address, found))


def _as_regex(pattern: str) -> str:
    """Return the form of the paths that a pattern finds, those in folders that it finds among them."""
    parts = []
    for part in pattern.strip("/").split("/"):
        if part == "**":
            parts.append("(?:[^/]+/)*")
            continue
        one = fnmatch.translate(part).removeprefix("(?s:").removesuffix(r")\Z").replace(".*", "[^/]*")
        parts.append(f"(?:{one})/")
    whole = "".join(parts)
    return rf"{whole[:-1]}(?:/.*)?\Z" if whole.endswith("/") else rf"{whole}.*\Z"


def _chosen_elsewhere(root: str, name: str, found: Sequence[str]) -> tuple[File, ...]:
    from mlygeo.store.datasets import remote

    return tuple(
        _elsewhere(remote.remote(f"{root}/{file.name}"), file.name, keys=file.keys)
        for file in _chosen(Path(), name, [Path(path) for path in found])
    )


def _is_hidden(path: str) -> bool:
    return any(_is_passed_over(part) for part in path.split("/"))


def _of_folder(folder: Path) -> Listing:
    root = Path(os.path.realpath(folder)) if not folder.name or folder.name == ".." else folder
    name = root.name or str(root)
    root = layout.followed(root)
    found = sorted(_walked(root), key=lambda path: path.as_posix())
    index_file = layout.index_of(root) if root.name else None
    if index_file is not None and index_file.is_file():
        return _indexed(root, name, found, read_index(index_file), index_file.name)
    return Listing(name, _chosen(root, name, found))


def _of_pattern(pattern: str) -> Listing:
    parts = Path(pattern).expanduser().parts
    wild = next(number for number, part in enumerate(parts) if paths.has_pattern(part))
    root = Path(*parts[:wild])
    found: set[Path] = set()
    for path in root.glob("/".join(parts[wild:])):
        if any(_is_passed_over(part) for part in path.relative_to(root).parts):
            continue
        if path.is_dir() and path.suffix.lower() not in paths.FOLDERS:
            found.update(_walked(path))
        else:
            found.add(path)
    if not found:
        raise FileError(f"{pattern} is a pattern that no file matches")
    return Listing(pattern, _chosen(root, pattern, sorted(found, key=lambda path: path.as_posix())))


def _is_passed_over(name: str) -> bool:
    """Return whether a file or folder is hidden, or none of the data, such as `_metadata` and `_SUCCESS`."""
    is_hidden = name.startswith((".", "_")) and "=" not in name and name not in {".", ".."}
    return is_hidden or name.endswith((layout.INDEX_ENDING, stac.COLLECTION_ENDING, *sidecars.ENDINGS))


def _walked(root: Path) -> Iterable[Path]:
    """Return the files of a folder and of folders in it; a folder seen before, by a link, is not seen again."""
    seen = set()

    def failed(error: OSError) -> None:
        raise FileError(f"{error.filename} cannot be read: {error.strerror}") from error

    for folder, folders, names in os.walk(root, followlinks=True, onerror=failed):
        real = os.path.realpath(folder)
        if real in seen:
            folders[:] = []
            continue
        seen.add(real)
        here = Path(folder)
        whole = [each for each in folders if Path(each).suffix.lower() in paths.FOLDERS]
        yield from (here / name for name in (*names, *whole) if not _is_passed_over(name))
        folders[:] = [each for each in folders if each not in whole and not _is_passed_over(each)]


def _chosen(root: Path, name: str, found: Sequence[Path]) -> tuple[File, ...]:
    """Return the frames among files, with what the names of their folders say."""
    frames = [path for path in found if path.suffix.lower() in PARQUET]
    frames = frames or [path for path in found if path.suffix.lower() in paths.READABLE]
    endings = sorted({path.suffix.lower() for path in frames} - PARQUET)
    if len(endings) > 1:
        raise FileError(
            f"{name} has files of several formats: {', '.join(endings)}", hint="name one: a pattern, or files"
        )
    if not frames:
        there = f"{counted(len(found), 'other file')}, such as {found[0].name}" if found else "no files"
        raise FileError(
            f"{name} contains no file with a frame (it has {there})", hint="name a folder with .parquet files"
        )
    for path in frames:
        paths.must_be_kept(path)
    others = sorted({*found} - {*frames})
    if in_doubt := [path for path in others if path.suffix.lower() in paths.READABLE]:
        log.warning("%s: only its GeoParquet is read; %s passed over, such as %s", name,
                    f"{counted(len(in_doubt), 'file')} of another format {'is' if len(in_doubt) == 1 else 'are'}",
                    in_doubt[0].name)  # fmt: skip
    elif others:
        log.info("%s: %s passed over", name, counted(len(others), "other file"))
    inside = [path.relative_to(root) if path.is_relative_to(root) else path for path in frames]
    keys = _typed([_said(path.parts[:-1]) for path in inside])
    return tuple(
        File(path, inner.as_posix(), keys=said) for path, inner, said in zip(frames, inside, keys, strict=True)
    )


def _said(folders: Sequence[str]) -> dict[str, str | None]:
    """Return what the names of folders say: `year=2024` is a value of a column."""
    parted = [folder.partition("=") for folder in folders]
    return {unquote(key): None if value == NULL else unquote(value) for key, equals, value in parted if equals and key}


def _typed(said: list[dict[str, str | None]]) -> list[dict[str, int | str | None]]:
    """
    Return the values of folders' names as whole numbers where all of a column are such, else as text.

    Numbers are those that no other text means: `0231` stays text. The cells of our own layout are not a column.
    """
    columns = dict.fromkeys(key for each in said for key in each)
    if all(layout.cell_of(f"{layout.KEY}={each.get(layout.KEY)}") is not None for each in said):
        columns.pop(layout.KEY, None)
    whole = {
        key: all(value is None or _WHOLE.fullmatch(value) for value in (each.get(key) for each in said))
        for key in columns
    }
    return [
        {
            key: int(value) if whole[key] and value is not None else value
            for key, value in each.items()
            if key in columns
        }
        for each in said
    ]


def _indexed(root: Path, name: str, found: Sequence[Path], index: Index, index_name: str) -> Listing:
    """Return the files of a dataset with what its index says of them."""
    there = {path.relative_to(root).as_posix(): path for path in found if path.suffix.lower() in PARQUET}
    parts = _checked_parts(index, {inner: path.stat().st_size for inner, path in there.items()}, name, index_name)
    return Listing(name, tuple(File(there[inner], inner, part=part) for inner, part in parts.items()), index)


def _checked_parts(index: Index, sizes: Mapping[str, int], name: str, index_name: str) -> dict[str, Part]:
    """Return the parts of an index by their paths, in order; the folder must have the same files."""
    parts = {part.path: part for part in index.parts}
    hint = "partition it again, or remove the index where the folder is right"
    if missing := sorted(parts.keys() - sizes.keys()):
        raise FormatError(f"{index_name} names {missing[0]}, which {name} does not have", hint=hint)
    if unknown := sorted(sizes.keys() - parts.keys()):
        raise FormatError(f"{name} has {unknown[0]}, which {index_name} does not name", hint=hint)
    for path, size in sizes.items():
        if size != parts[path].bytes:
            raise FormatError(
                f"{path} of {name} has {size:,} bytes, and by {index_name} {parts[path].bytes:,}", hint=hint
            )
    if not parts:
        raise FileError(f"{name} is a dataset without rows")
    return {path: parts[path] for path in sorted(parts)}
