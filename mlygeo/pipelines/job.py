"""Jobs: the result of a public function's body, and the way from there to the function and to its verb."""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections import ChainMap
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypeVar

from mlygeo import places
from mlygeo.errors import FileError, OutputError
from mlygeo.pipelines.arguments import Call, user_call
from mlygeo.progress import Progress, running

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import geopandas as gpd

    from mlygeo.keys import Key

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Output = Literal["frame", "frames", "folder", "dataset", "picture", "track"]
"""Function that writes a verb's results under the path of -o."""

PICTURES = (".html", ".png", ".svg", ".pdf")

RECORDS_AT_ONCE = 20_000
"""Records converted to a frame at a time: as JSON objects they need ten times the memory."""


@dataclass
class Job(Generic[T_co]):
    """
    What the body of a public function returns: its result, made at the first use, and the verb's output.

    Parameters
    ----------
    make
        Function that makes the result: usually a frame.
    summary
        Facts about it, JSON.
    headline
        The facts in a sentence.
    write
        Function that writes the results under a path, and returns the files; by default it writes none.
    failed
        Names of the items that failed.
    ids
        The ids of images in it, for verbs that can print just those.
    text
        Text that the verb prints to standard output as its result.
    wait
        Starts the work that continues after the verb's output, and returns the function that waits for its end.
    as_file
        Whether the result is a frame that is written to the path as one file, with what made it among its
        attributes; `write` then writes what goes beside it.
    call
        What the user has called.
    """

    make: Callable[[], T_co]
    summary: dict[str, Any]
    headline: str
    write: Callable[[Path], list[Path]] = lambda _: []
    failed: list[str] = field(default_factory=list)
    ids: Callable[[], list[Key]] | None = None
    text: Callable[[], str] | None = None
    wait: Callable[[], Callable[[], None]] | None = None
    as_file: bool = False
    call: Call | None = field(default_factory=user_call)

    def __post_init__(self) -> None:
        """Let the result go to its file before what goes beside it."""
        if self.as_file:
            beside = self.write
            self.write = lambda path: [*self._write_result(path), *beside(path)]

    def _write_result(self, path: Path) -> list[Path]:
        from mlygeo import store

        frame: Any = self.result
        return [store.write_frame(frame, path), *store.files_beside(path)]

    @cached_property
    def record(self) -> dict[str, Any]:
        """What made the result, as JSON: command, options, inputs by hash, and versions; empty where no call did."""
        from mlygeo.pipelines import provenance

        return {} if self.call is None else provenance.record_of(self.call, self.summary)

    @cached_property
    def result(self) -> T_co:
        """The result of the public function; a frame has the summary, and what made it, in its `attrs`."""
        made = self.make()
        if isinstance(attrs := getattr(made, "attrs", None), dict):
            # It may be the caller's own frame, which is not changed.
            frame: Any = made
            made = frame.copy(deep=False)
            made.attrs = {**attrs, "summary": self.summary} | ({"record": self.record} if self.call else {})
        return made


def public(body: Callable[P, Job[T]]) -> Callable[P, T]:
    """
    Return the public function of a body: with the same options, returning only the result.

    Parameters without a text in the body's docstring are options; their texts come from
    `mlygeo.pipelines.options`.

    Parameters
    ----------
    body
        Function that makes the job; the command line calls it directly, see `body_of`.
    """
    return _public(body, ())


def public_with(*described: object) -> Callable[[Callable[P, Job[T]]], Callable[P, T]]:
    """
    Return `public` for a body whose options are described elsewhere.

    Parameters
    ----------
    described
        Public functions, or groups of options. The text of a parameter is that of the body, else that of the
        first of these that has one, else the common one.
    """
    return lambda body: _public(body, described)


def _public(body: Callable[P, Job[T]], described: tuple[object, ...]) -> Callable[P, T]:
    from mlygeo.pipelines.arguments import received
    from mlygeo.pipelines.options import TEXTS, parameter_texts

    checked = received(body)

    @functools.wraps(body)
    def function(*args: P.args, **kwargs: P.kwargs) -> T:
        shown = kwargs.get("progress")
        with running(shown if isinstance(shown, Progress) else None):
            return checked(*args, **kwargs).result

    function.body = checked  # type: ignore[attr-defined]
    signature = inspect.signature(body)
    returned = str(signature.return_annotation).removeprefix("Job[").removesuffix("]")
    function.__signature__ = signature.replace(return_annotation=returned)  # type: ignore[attr-defined]
    function.__annotations__ = {**body.__annotations__, "return": returned}
    texts = ChainMap(*(parameter_texts(each.__doc__ or "") for each in (body, *described)), TEXTS)
    function.__doc__ = _documented(
        inspect.cleandoc(body.__doc__ or ""), {name: texts[name] for name in signature.parameters}
    )
    return function


def body_of(function: Callable[P, T]) -> Callable[P, Job[T]]:
    """Return the body of a public function."""
    body: Callable[P, Job[T]] = function.body  # type: ignore[attr-defined]
    return body


def _documented(docstring: str, texts: dict[str, str]) -> str:
    """Return a docstring with the texts of all parameters, replacing its own."""
    does, _, rest = docstring.partition("\n\nReturns\n")
    does = does.partition("\n\nParameters\n")[0]
    section = "\n".join(f"{name}\n{text}" for name, text in texts.items())
    return f"{does}\n\nParameters\n----------\n{section}\n\nReturns\n{rest}"


def one_after_another(first: Job[object], second: Job[T]) -> Job[T]:
    """
    Return two jobs as one: with the result of the second, and the summaries of both, whose counts are added.

    What an upload leaves out has reasons for counts, by path; these stand beside the counts of others.
    """
    counts: dict[str, dict[str, Any]] = {}
    for name in ("left_out", "problems"):
        counted_by = [job.summary[name] for job in (first, second) if isinstance(job.summary.get(name), dict)]
        if len(counted_by) == 2:
            one, two = counted_by
            both = {key: one[key] + two[key] for key in one.keys() & two.keys() if isinstance(two[key], int)}
            counts[name] = {**one, **two, **both}
    failed = [*map(str, first.failed), *map(str, second.failed)]
    return Job(
        lambda: second.result,
        {**first.summary, **second.summary, **counts, "failed": failed},
        f"{first.headline}\n{second.headline}",
        second.write,
        [*first.failed, *second.failed],
        text=second.text,
    )


def version() -> str:
    """Return the version of mlygeo, for summaries."""
    import mlygeo

    return mlygeo.__version__


def tally(counts: Mapping[str, int]) -> str:
    """Return reasons with their numbers, which suits one and many: "duplicates (1), videos without positions (3)"."""
    return ", ".join(f"{reason} ({number:,})" for reason, number in counts.items() if number)


def check_output(kind: Output, path: Path, *, or_dataset: bool = False) -> None:
    """
    Raise unless results could be written to this path; nothing is created.

    Parameters
    ----------
    kind
        Kind of the results.
    path
        The path of -o.
    or_dataset
        Whether it may be meant as the folder of a dataset, which a slash at its end would say.

    Raises
    ------
    FileError
        If a file is in the place of a folder, or a folder in that of a file, or the path is not writable, or lies in
        a dataset.
    OutputError
        If the ending names no format, or the path is an address of the web.
    """
    from mlygeo import store
    from mlygeo.store.datasets import layout

    must_be_here(path, "-o")
    layout.must_be_elsewhere(path.parent, path) if kind == "dataset" else layout.must_be_elsewhere(path)
    if or_dataset and not path.suffix and not path.exists():
        raise OutputError(
            f"{path} has no ending, and may be meant as a file or as the folder of a dataset",
            hint=f"write {path.name}/ with a slash at its end for a dataset, {path.name}.parquet for a file",
        )
    # What ends in .json and is there is rather a configuration file than a frame of an earlier run.
    if kind == "frames" and store.names_file(path) and not (path.suffix.lower() == ".json" and path.exists()):
        store.check_writable(path)
    elif kind == "dataset":
        check_folder(path, "-o", is_dataset=True)
    elif kind in {"folder", "frames"}:
        check_folder(path, "-o", instead=f"; frames are written as {store.endings()}" if kind == "frames" else "")
    elif kind == "track" and path.name.lower().endswith((".gpx", ".gpx.gz")):
        pass
    elif kind == "picture":
        if path.suffix.lower() not in PICTURES:
            raise OutputError(f"{path.name or path}: maps are written as {', '.join(PICTURES[:-1])} or {PICTURES[-1]}")
    else:
        store.check_writable(path)
    parent = places.existing(path)
    if not os.access(parent, os.W_OK):
        raise FileError(f"{parent} cannot be written to", hint="name another place with -o")


_FILE_ENDING = re.compile(
    r"\.((?!v\d)(?=.*[a-z])[a-z0-9]{2,5}|feather|pickle|geojsonl?|(geo)?parquet|sqlite3?)", re.IGNORECASE
)
"""Endings of files, and not of names such as "run.2", "2024.06" or "model.v12"."""


def _is_mistyped(ending: str) -> bool:
    """Return whether an ending is nearly that of a file, such as .parqet."""
    import difflib

    from mlygeo import store

    return bool(
        difflib.get_close_matches(ending.lower(), [each for each in store.FORMATS if len(each) > 4], cutoff=0.8)
    )


def must_be_here(path: Path, option: str) -> None:
    """Raise OutputError where what is to be written is an address of the web: nobody finds a folder of such a name."""
    from mlygeo.store.paths import copying_to, is_url, shown

    if is_url(path):
        raise OutputError(
            f"{shown(str(path))} is an address, and {option} is written on this machine",
            hint=copying_to(str(path)),
        )


def check_folder(folder: Path, option: str = "`output`", instead: str = "", *, is_dataset: bool = False) -> None:
    """
    Raise where a folder to be made has the name of a file: what was meant is something else.

    Parameters
    ----------
    folder
        The folder; one that is there may have any name.
    option
        The option that names it.
    instead
        What else the option may name.
    is_dataset
        Whether it may be the folder of a dataset, which is written to by its own rules.

    Raises
    ------
    FileError
        If it is a file, or lies in a dataset.
    OutputError
        If it is an address of the web, or is not there and its name ends as names of files do.
    """
    from mlygeo.store.datasets import layout

    must_be_here(folder, option)
    if not is_dataset:
        layout.must_be_elsewhere(folder)
    if folder.is_dir():
        return
    if folder.exists():
        raise FileError(f"{folder} is a file, and {option} names a folder here")
    if _FILE_ENDING.fullmatch(folder.suffix) or _is_mistyped(folder.suffix):
        raise OutputError(
            f"{folder.name} is the name of a file, and {option} names a folder here{instead}",
            hint="name a folder without an ending, or make it before",
        )


def joined(parts: list[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    """Return the parts as one frame, with the attributes of the first."""
    import pandas as pd

    if len(parts) == 1:
        return parts[0]
    # An empty part would make the other parts' dtypes uncertain.
    joined: gpd.GeoDataFrame = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    joined.attrs = dict(parts[0].attrs)
    return joined
