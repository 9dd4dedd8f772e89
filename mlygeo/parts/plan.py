"""
Plans: what is to be done over parts, cut into tasks; written once, and read by whoever runs a task.

A plan has a folder of its own, whose name has the hash of all that the answer depends on. So a run that was
killed goes on where it was, and never mixes the parts of two.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import FileError, FormatError, unreadable
from mlygeo.spatial import cells
from mlygeo.store.atomic import atomic, file_error, temporary_folder, to_disk
from mlygeo.store.datasets import layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mlygeo.arrays import Bounds, Rows

VERSION = 2
"""Version of plans and of the files of parts."""

PLAN_FILE, RESULT = "plan.json", "result"
"""Names in the folder of a plan: the plan, and the folder of the parts."""

ROWS_PER_TASK = 500_000
"""Images of a task: the overhead of a task is below a third from 100,000, and memory grows with more (measured)."""

LARGE, MOST_TIMES = 4_000_000, 3
"""For each time that a dataset has so many images, its tasks have as many times more: less is read twice."""

BASE_BYTES, BYTES_PER_IMAGE, BYTES_PER_POINT = 250_000_000, 400, 200
"""Memory of a process at work on a part: whatever it holds, and for each image in reach and each point (measured)."""

COUNTS = "part"
"""Where the attributes of a part's file have what is counted in it."""

SECONDS_PER_TASK, SECONDS_PER_IMAGE = 0.03, 0.5e-6
"""Processor time of a task, whatever it holds, and for each image in reach (measured)."""


@dataclass(frozen=True)
class Task:
    """
    A part of the work: all points of a cell.

    Parameters
    ----------
    cell
        Its quadkey.
    points
        Number of points.
    images
        Images in reach: rather too many than too few.
    reach
        Box in degrees that holds every image in reach of the points; None for the world.
    counts
        Numbers of the images' parts that this task counts.
    """

    cell: str
    points: int
    images: int
    reach: Bounds | None
    counts: tuple[int, ...] = ()

    @property
    def path(self) -> str:
        """The file of its part, relative to the folder of parts."""
        return f"{layout.KEY}=q{self.cell}/{layout.part(0)}"

    @property
    def bytes(self) -> int:
        """Memory that a process needs for it."""
        return BASE_BYTES + BYTES_PER_IMAGE * self.images + BYTES_PER_POINT * self.points

    @property
    def seconds(self) -> float:
        """Processor time that it takes, about."""
        return SECONDS_PER_TASK + SECONDS_PER_IMAGE * (self.images + self.points)


@dataclass(frozen=True)
class Plan:
    """
    A plan.

    Parameters
    ----------
    folder
        Its folder.
    hash
        Hash of what the answer depends on, in hexadecimal digits.
    step
        What is done: the name of a module of `mlygeo.parts`.
    images
        The dataset of images.
    given
        What the answer depends on beside points and images, JSON.
    tasks
        In the order of their cells.
    """

    folder: Path
    hash: str
    step: str
    images: str
    given: dict[str, Any]
    tasks: tuple[Task, ...]

    @property
    def parts(self) -> Path:
        """The folder of the parts."""
        return self.folder / RESULT

    def path(self, number: int) -> Path:
        """Return the file of a task's part."""
        return self.parts / self.tasks[number].path

    def left(self) -> list[int]:
        """Return the numbers of the tasks whose part is not there."""
        return [number for number in range(len(self.tasks)) if not self.path(number).exists()]


@contextmanager
def writing(plan: Plan, number: int) -> Iterator[Path]:
    """
    Yield a temporary path for a task's part, which gets its place once it is complete and on disk.

    A worker may finish a part when the run has ended without it, such as a run whose client was killed, and that
    was gone on with elsewhere: then no folder is made, and nothing is left of the part.

    Raises
    ------
    FileError
        If it cannot be written, or the run has ended.
    """
    path = plan.path(number)
    try:
        name = f"q{plan.tasks[number].cell}{path.suffix}"
        with temporary_folder(plan.folder, name, make=False) as folder:
            temporary = folder / name
            yield temporary
            to_disk(temporary)
            path.parent.mkdir(exist_ok=True)
            temporary.replace(path)
    except OSError as error:
        if plan.parts.exists():
            raise error if isinstance(error, FileError) else file_error(error, path) from error
        with suppress(OSError):  # what the run could not remove meanwhile
            plan.folder.rmdir()
            plan.folder.parent.rmdir()
        raise FileError(f"{plan.folder} has no parts any more: its run has ended") from error


@dataclass(frozen=True)
class AllParts:
    """
    The parts of a plan, all of which are there.

    Parameters
    ----------
    plan
        The plan.
    """

    plan: Plan

    @cached_property
    def counts(self) -> list[dict[str, Any]]:
        """What is counted in each part, in the order of the tasks."""
        return [counts_in(self.plan, number) for number in range(len(self.plan.tasks))]


def step_of(made: Plan) -> Any:
    """Return the module that makes the parts of a plan; see `mlygeo.parts.run.Step`."""
    return importlib.import_module(f"mlygeo.parts.{made.step}")


def counts_of(path: Path) -> dict[str, Any]:
    """Return what is counted in the file of a part that is a frame, as the `task` of its step does."""
    from mlygeo.store.parquet.files import GeoFile

    found: dict[str, Any] = GeoFile(path).attrs[COUNTS]
    return found


def counts_in(made: Plan, number: int) -> Any:
    """Return what is counted in a part that is there; steps whose parts are not frames say where it is."""
    return getattr(step_of(made), "counts_of", counts_of)(made.path(number))


def digest(values: Mapping[str, Any], *arrays: Any) -> str:
    """Return a hash of JSON and arrays."""
    found = hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=12)
    for array in arrays:
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def write(plan: Plan) -> None:
    """
    Write a plan to its folder, unless it is there, and make the folder of the parts.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    path = plan.folder / PLAN_FILE
    plan.parts.mkdir(parents=True, exist_ok=True)
    content = {"version": VERSION, **asdict(plan), "folder": None}
    if path.exists() and read(plan.folder).images == plan.images:
        return
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content), encoding="utf-8")


def read(folder: Path) -> Plan:
    """
    Read the plan of a folder.

    Raises
    ------
    FileError
        If it cannot be read.
    FormatError
        If it is none, or of another version.
    """
    path = folder / PLAN_FILE
    try:
        status = path.stat()
    except OSError as error:
        raise FileError(unreadable(path, error), hint="is its folder on a disk that all workers see?") from error
    return _read(path, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=4)
def _read(path: Path, _changed: int, _number: int) -> Plan:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.pop("version")
        if version != VERSION:
            raise FormatError(f"{path} is a plan of version {version}, and this mlygeo has version {VERSION}")
        tasks = tuple(
            Task(
                each["cell"], each["points"], each["images"],
                None if each["reach"] is None else tuple(each["reach"]), tuple(each["counts"]),
            )
            for each in content.pop("tasks")
        )  # fmt: skip
        return Plan(**{**content, "folder": path.parent, "tasks": tasks})
    except OSError as error:
        raise FileError(unreadable(path, error)) from error
    except (ValueError, TypeError, KeyError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{path} is not a plan, or is damaged: {error}") from error


def cut(with_points: Rows, points: Rows, image_cells: Rows, images: Rows, most: int = ROWS_PER_TASK) -> layout.Leaves:
    """
    Cut the world into cells with so many images and points at most, and return those that have points.

    Parameters
    ----------
    with_points, points
        Codes of zoom 14 that have points, ascending, and their numbers.
    image_cells, images
        Codes of zoom 14 that have images, ascending, and their numbers.
    most
        Most rows of a cell; one of zoom 14 may have more.
    """
    codes = np.union1d(with_points, image_cells)
    rows = np.zeros(len(codes), dtype=np.int64)
    rows[np.searchsorted(codes, image_cells)] += images
    rows[np.searchsorted(codes, with_points)] += points
    leaves = layout.leaves(codes, rows, most)
    used = np.unique(leaves.of(with_points)) if len(with_points) else np.empty(0, dtype=np.int64)
    return layout.Leaves(leaves.code[used], leaves.zoom[used], leaves.rows[used])


def rows_per_task(images: int) -> int:
    """Return the most images of a task of a dataset with so many images."""
    return ROWS_PER_TASK * min(max(images // LARGE, 1), MOST_TIMES)


def in_reach(box: Bounds | None, image_cells: Rows, images: Rows) -> int:
    """Return how many images may lie in a box in degrees, by the cells of zoom 14 that it meets; None is the world."""
    if box is None:
        return int(images.sum())
    west, south, east, north = box
    x, y = cells.parts(image_cells)
    ends_x, ends_y = cells.tiles(np.array([west, east]), np.array([north, south]), layout.MOST_ZOOM)
    beside = (x >= ends_x[0]) & (x <= ends_x[1]) if west <= east else (x >= ends_x[0]) | (x <= ends_x[1])
    return int(images[beside & (y >= ends_y[0]) & (y <= ends_y[1])].sum())
