"""The job of standing in for the service."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

from mlygeo.errors import InputError
from mlygeo.pipelines.job import Job, version

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    import geopandas as gpd

    from mlygeo.progress import Progress
    from mlygeo.standin import Server
    from mlygeo.store import FrameLike


def run_standin(*, progress: Progress | None = None, **options: Any) -> Job[Any]:  # noqa: ARG001
    """Do what `mlygeo.run_standin` says, until the process is told to stop."""
    server = started(**options)
    summary = {"url": server.url, "images": server.images, "photos": server.photos, "version": version()}
    counts = f"{server.images:,} images, {server.photos:,} of them with a photo"
    return Job(
        _no_frame,
        summary,
        f"standing in for Mapillary with {counts}; Ctrl-C stops it",
        text=lambda: server.url,
        wait=lambda: _until_stopped(server),
    )


def started(
    *,
    images: FrameLike | None,
    photos: str | os.PathLike[str] | None,
    port: int,
    token: str | None,
    store: str | os.PathLike[str] | None,
    latency: float,
    fail: float,
    missing: float,
    url_lifetime: float | None,
    seed: int,
) -> Server:
    """Return the running stand-in."""
    from mlygeo import standin
    from mlygeo import store as files

    for name, share in (("fail", fail), ("missing", missing)):
        if not 0 <= share <= 1:
            raise InputError(f"--{name} is a share from 0 to 1, not {share:g}")
    lifetime = standin.faults.URL_LIFETIME if url_lifetime is None else url_lifetime
    for name, seconds in (("latency", latency), ("url-lifetime", lifetime)):
        if not 0 <= seconds < float("inf"):
            raise InputError(f"--{name} is a number of seconds, not {seconds:g}")
    faults = standin.Faults.spread(fail, seed=seed, latency=latency, missing=missing, url_lifetime=lifetime)
    frame = None if images is None else files.as_frame(images, frame="images")
    return standin.start(frame, photos=photos, faults=faults, port=port, token=token, store=store)


def _until_stopped(server: Server) -> Callable[[], None]:
    """Listen to the signals that end a process, and return the function that waits for one."""
    stopped = threading.Event()
    ours = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in ours}

    def wait() -> None:
        try:
            # Windows wakes a wait for a signal only when its time is up.
            while not stopped.wait(0.5):
                pass
        finally:
            server.stop()
            for number, handler in before.items():
                signal.signal(number, handler)

    return wait


def _no_frame() -> gpd.GeoDataFrame:
    raise InputError("a stand-in is no frame", hint="use mlygeo.run_standin(…)")
