"""Where the files of a download go, after asking the service for what their names depend on."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from mlygeo.downloads.layouts import Layout
    from mlygeo.downloads.ledger import Form
    from mlygeo.providers.mapillary.graph import Graph

    Ids = npt.NDArray[np.int64]


def layout_of(form: Form, ids: Ids, graph: Graph) -> Layout:
    """
    Return the layout of a download.

    Parameters
    ----------
    form
        The form that is wanted.
    ids
        The images; shape (n,).
    graph
        The Graph API; the layout by time alone asks it.
    """
    from mlygeo.downloads import layouts

    if form.layout == "sequence":
        return layouts.BySequence(form.format)
    if form.layout == "flat":
        return layouts.Flat(form.format)
    return _by_time(np.sort(ids), graph, form.format)


def _by_time(ids: Ids, graph: Graph, ending: str) -> Layout:
    """
    Return the layout by time of images, whose times and sequences are asked for.

    A name depends on all images of its sequence that share a millisecond, and on the sequence's
    first image, so these are looked at before the first file is written.
    """
    from mlygeo.downloads import layouts

    sequences = np.full(len(ids), -1, dtype=np.int32)
    captured = np.full(len(ids), layouts.UNKNOWN_TIME, dtype=np.int64)
    numbers: dict[str, int] = {}
    for number, record in _records(graph, ids, ["sequence", "captured_at"]):
        row = np.searchsorted(ids, number)
        captured[row] = layouts.milliseconds(record.get("captured_at"))
        if isinstance(sequence := record.get("sequence"), str):
            sequences[row] = numbers.setdefault(sequence, len(numbers))
    names = list(numbers)
    starts = np.full(len(names), layouts.UNKNOWN_TIME, dtype=np.int64)
    firsts: dict[int, list[int]] = {}
    for number, name in enumerate(names):
        # One that is no safe name gets no folder, and so needs no time.
        with contextlib.suppress(OSError):
            layouts.sequence_folder(name)
            along = graph.image_ids(name)
            if along:
                firsts.setdefault(along[0], []).append(number)
        if graph.ended is not None:
            raise graph.ended
    for number, record in _records(graph, np.array(sorted(firsts), dtype=np.int64), ["captured_at"]):
        starts[firsts[number]] = layouts.milliseconds(record.get("captured_at"))
    # Where the service does not tell of a sequence, its first image at hand has to do.
    for each in np.flatnonzero(starts == layouts.UNKNOWN_TIME):
        own = captured[(sequences == each) & (captured != layouts.UNKNOWN_TIME)]
        starts[each] = own.min() if len(own) else layouts.UNKNOWN_TIME
    return layouts.ByTime(ids, sequences, captured, names, starts, ending=ending)


def _records(graph: Graph, ids: Ids, fields: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for batch in graph.images(ids, fields=fields):
        yield from batch.found.items()
