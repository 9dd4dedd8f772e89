"""A small project with data that comes with mlygeo: the main verbs run on it, as a user would type them."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo.errors import FileError, MlygeoError
from mlygeo.pipelines.job import Job, public
from mlygeo.progress import Progress

if TYPE_CHECKING:
    import os
    from importlib.resources.abc import Traversable

    import geopandas as gpd

    PathLike = str | os.PathLike[str]

FOLDER = "mlygeo-demo"

CONFIGURATION = """# The region, and where its vector tiles are. Commands in this folder find it by themselves.
tile_cache_dir = "tiles"

[bounding_box]
west = 9.1616
south = 48.7624
east = 9.1759
north = 48.7789
"""

FILES = {"stuttgart_osm_edges.gpkg": "streets.gpkg", "stuttgart_tile_cache": "tiles"}
"""File or folder of the data -> its name in the project."""

COMMANDS = (
    "mlygeo tiles -o images.parquet",
    "mlygeo select --streets streets.gpkg --interval 50 --srid 25832 -o out",
    "mlygeo map streets.gpkg out/street_points.parquet out/selection.parquet -o map.html",
)
"""What is run in the project, in this order."""


@public
def demo(*, output: PathLike | None = None, progress: Progress | None = None) -> Job[gpd.GeoDataFrame]:
    """
    Make a small project with data of Stuttgart, and run its commands; without token or network.

    The project has a configuration, streets from OpenStreetMap and vector tiles from Mapillary. The commands select
    an image every 50 m along the streets and draw a map. You can repeat them in its folder with other options.

    Parameters
    ----------
    output
        Folder for the project; it must be new or empty. Default: mlygeo-demo.

    Returns
    -------
    selection
        The selected images: a selection frame, EPSG:4326.

    Raises
    ------
    FileError
        If the folder is not empty, or cannot be written to.

    Examples
    --------
    >>> selection = demo(output="demo")
    """
    from mlygeo import store

    folder = Path(FOLDER if output is None else output).expanduser()
    _must_be_empty(folder)
    was_there = folder.exists()
    try:
        _copy_data(folder)
        with (progress or Progress()).bar("running the commands", total=len(COMMANDS)) as bar:
            for command in COMMANDS:
                _run(command, folder)
                bar.advance()
    except KeyboardInterrupt:
        _remove(folder, was_there=was_there)  # half a project would keep the next run from this folder
        raise
    selection = store.read_frame(folder / "out" / "selection.parquet", frame="selection")
    summary: dict[str, Any] = {
        "folder": str(folder),
        "commands": list(COMMANDS),
        "images": int(selection["id"].nunique()),
    }
    lines = [
        f"{folder} is a project now, with vector tiles and streets of Stuttgart. These commands were run in it:",
        *(f"  {command}" for command in COMMANDS),
        f"{summary['images']} images are selected. Open {folder / 'map.html'} in a browser.",
        f"To go on: cd {shlex.quote(str(folder))}, and type a command again with other options.",
    ]
    return Job(lambda: selection, summary, "\n".join(lines))


def _must_be_empty(folder: Path) -> None:
    try:
        is_free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    except OSError as error:
        raise FileError(f"{folder}: {error.strerror or error}") from None
    if not is_free:
        raise FileError(f"{folder} exists and is not an empty folder", hint="name another folder with `output`")


def _remove(folder: Path, *, was_there: bool) -> None:
    """Remove what was made in a folder that was empty, or was not there."""
    for path in list(folder.iterdir()) if folder.is_dir() else []:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    if not was_there and folder.is_dir():
        folder.rmdir()


def _copy_data(folder: Path) -> None:
    """Copy the data into the folder, with the configuration last: it makes the folder a project."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with as_file(_data()) as data:
            for name, called in FILES.items():
                if (data / name).is_dir():
                    shutil.copytree(data / name, folder / called)
                else:
                    shutil.copyfile(data / name, folder / called)
        (folder / "mlygeo.toml").write_text(CONFIGURATION, encoding="utf-8")
    except OSError as error:
        raise FileError(f"{folder}: {error.strerror or error}", hint="name another folder with `output`") from None


def _data() -> Traversable:
    """Return the folder of the data: in the package as it is installed, or beside it in the clone."""
    package = files("mlygeo")
    for found in (package / "stuttgart", Path(str(package)).parent / "examples" / "stuttgart"):
        if found.joinpath("stuttgart_osm_edges.gpkg").is_file():
            return found
    raise FileError("the data of the demo did not come with this installation", hint="install mlygeo anew")


def _run(command: str, folder: Path) -> None:
    """Run a command of ours in the folder, as a user would."""
    done = subprocess.run(  # noqa: S603 - our own program with constant words
        [sys.executable, "-m", *shlex.split(command), "-q"],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        reason = done.stderr.strip().removeprefix("error: ")
        raise MlygeoError(f"{command}: {reason}", hint="'mlygeo doctor' checks the installation")
