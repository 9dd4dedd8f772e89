"""Writing the configuration of a project, once, so that commands in its folder need not name the region."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo import config
from mlygeo.errors import FileError, InputError, RegionError
from mlygeo.pipelines.job import Job, public, version
from mlygeo.progress import may_ask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlygeo.config import Config

    PathLike = str | os.PathLike[str]

LONGEST_ANSWER = 1 << 16
"""Characters of a line that is typed, or comes from standard input."""

QUESTIONS = (
    ("tile_cache_dir", "folder of the tile cache [the user's cache folder]: "),
    ("seqdir", "folder of downloaded pictures [downloads]: "),
)
"""What is asked beside the region: the key, and the question; an empty answer leaves the key out."""


@public
def init(
    path: PathLike | Sequence[PathLike] | None = None,
    *,
    bbox: str | Sequence[float] | None = None,
    region_file: PathLike | None = None,
    place: str | None = None,
    tile_cache: PathLike | None = None,
    seqdir: PathLike | None = None,
    token_file: PathLike | None = None,
    force: bool = False,
) -> Job[Config]:
    """
    Write the configuration of a project, so that commands in its folder know the region.

    Commands find the configuration in the working folder or a folder above, and name it in their first line. Without
    options, init asks for values in a terminal. An existing file is replaced only if you ask for it.

    Parameters
    ----------
    path
        The file: TOML, or JSON if its name ends in .json. Default: mlygeo.toml in the working folder. Only
        mlygeo.toml and mlygeo.json are found automatically.
    bbox
        Region as a bounding box: west, south, east, north, degrees.
    region_file
        Region as a file of polygons in any vector format.
    place
        Region as the name of a place, such as "Utrecht, Netherlands".
    tile_cache
        Folder for vector tiles. Default: the user cache folder.
    seqdir
        Folder for downloaded pictures. Default: downloads.
    token_file
        File with the access token. The token itself is not written to the configuration.
    force
        Replace the file if it exists.

    Returns
    -------
    config
        What the file says.

    Raises
    ------
    InputError
        If there is no region and no terminal to ask in, or if the file exists.
    RegionError
        If the region makes no sense.
    FileError
        If a file named does not exist, or the configuration cannot be written.

    Examples
    --------
    >>> init(bbox=(9.1616, 48.7624, 9.1759, 48.7789), tile_cache="tiles")
    """
    from mlygeo import store

    target = _target(path)
    given = {"tile_cache_dir": tile_cache, "seqdir": seqdir, "token_file": token_file}
    values: dict[str, Any] = {}
    named = [
        name for name, value in (("bbox", bbox), ("region_file", region_file), ("place", place)) if value is not None
    ]
    if len(named) > 1:
        raise RegionError(f"`{named[0]}` and `{named[1]}` both name a region", hint="give one of them")
    if bbox is not None:
        values["bounding_box"] = _box(bbox)
    if region_file is not None:
        values["region"] = _written_path(_polygons(region_file), target)
    if place is not None:
        values["place"] = place
    if token_file is not None and not Path(token_file).expanduser().is_file():
        raise FileError(f"token file {token_file} does not exist")
    _may_write(target, force=force)
    if not values and all(value is None for value in given.values()):
        if not may_ask():
            raise InputError(
                "no region, and there is no terminal to ask at", hint="give `bbox`, `region_file` or `place`"
            )
        values = _asked_region(target)
        given |= {key: _asked(question) or None for key, question in QUESTIONS}
    values |= {key: _written_path(Path(value), target) for key, value in given.items() if value is not None}
    for key, value in values.items():
        if isinstance(value, str) and not config.is_plain(value):
            raise InputError(f"{key} {value!r} is not a name")
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n" if target.suffix == ".json" else _as_toml(values)
    store.write_text(text, target)
    written = config.load(target)
    found = target.name in config.FILES
    headline = f"{target} holds {', '.join(values)}; " + (
        "commands in its folder and below find it" if found else "name it in each command"
    )
    summary = {"file": str(target), **values, "version": version()}
    return Job(lambda: written, summary, headline)


def _target(path: PathLike | Sequence[PathLike] | None) -> Path:
    words = [path] if isinstance(path, str | os.PathLike) else list(path or [config.FILES[0]])
    if len(words) != 1:
        raise InputError(f"{len(words)} files", hint="name one file")
    target = Path(words[0]).expanduser()
    if target.is_dir():
        target /= config.FILES[0]
    if target.suffix not in {".toml", ".json"} or target.name == config.PROJECT_FILE:
        hint = "in pyproject.toml it is the table tool.mlygeo, to be written by hand"
        raise InputError(f"{target} is not a name for it: a configuration is a .toml or .json file", hint=hint)
    return target


def _may_write(target: Path, *, force: bool) -> None:
    """Raise if a configuration is there already, and is not to be replaced."""
    others = [target.with_name(name) for name in config.FILES if name != target.name and target.name in config.FILES]
    for other in others:
        if os.path.lexists(other):
            raise InputError(
                f"{other} is there already, and two would be in doubt", hint=f"change or remove {other.name}"
            )
    if not os.path.lexists(target) or force:
        return
    if may_ask():
        if _asked(f"{target} exists; replace it? [y/N] ").lower() in {"y", "yes"}:
            return
        raise InputError(f"{target} stays as it was")
    raise InputError(f"{target} exists", hint="`force=True` replaces it")


def _box(bbox: str | Sequence[float]) -> dict[str, float]:
    from mlygeo.spatial import boxes

    sides = boxes.parse(bbox) if isinstance(bbox, str) else tuple(bbox)
    if len(sides) != 4:
        raise RegionError(f"a bounding box has four numbers, not {len(sides)}")
    return dict(zip(config.SIDES, map(float, boxes.checked(*sides)), strict=True))


def _polygons(path: PathLike) -> Path:
    """Return the path of a polygon file that can be read as a region."""
    from mlygeo.regions import Region

    Region.from_file(path)
    return Path(path).expanduser()


def _asked_region(target: Path) -> dict[str, Any]:
    """Ask where, until an answer makes sense; an interrupted answer ends the run."""

    def understood(answer: str) -> dict[str, Any]:
        if Path(answer).expanduser().exists():
            return {"region": _written_path(_polygons(answer), target)}
        if any(letter.isalpha() for letter in answer):
            return {"place": answer}
        return {"bounding_box": _box(answer)}

    return _until_sound("region (W,S,E,N in degrees, a polygon file, or the name of a place): ", understood)


def _until_sound(question: str, understood: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    while True:
        answer = _asked(question)
        try:
            if answer:
                return understood(answer)
        except (InputError, FileError) as error:
            sys.stderr.write(f"{error}\n")


def _asked(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    line = sys.stdin.readline(LONGEST_ANSWER)
    if not line:
        raise InputError("the answers ended", hint="nothing was written")
    return line.strip()


def _written_path(path: Path, target: Path) -> str:
    """Return a path as it stands in the file: relative to it where it is given relative to the working folder."""
    path = path.expanduser()
    if path.is_absolute():
        return path.as_posix()
    return Path(os.path.relpath(path, target.parent)).as_posix()


def _as_toml(values: dict[str, Any]) -> str:
    lines = [
        f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items() if isinstance(value, str)
    ]
    for key, table in values.items():
        if isinstance(table, dict):
            lines += ["", f"[{key}]", *(f"{name} = {number!r}" for name, number in table.items())]
    return "\n".join(lines).lstrip() + "\n"
