"""A local stand-in of the providers, for rehearsals."""

from __future__ import annotations

import signal
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from mlygeo import systems
from mlygeo.errors import InputError
from mlygeo.pipelines.job import Job, public, version
from mlygeo.progress import counted

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from mlygeo.standin import Server
    from mlygeo.store import FrameLike

    PathLike = str | os.PathLike[str]


@public
def run_standin(
    *,
    images: FrameLike | None = None,
    photos: PathLike | None = None,
    port: int = 0,
    token: str | None = None,
    store: PathLike | None = None,
    latency: float = 0.0,
    fail: float = 0.0,
    missing: float = 0.0,
    url_lifetime: float | None = None,
    seed: int = 0,
) -> Job[Server]:
    """
    Stand in for Mapillary and Panoramax on this machine, to rehearse a job.

    The address is the first line printed. Set MAPILLARY_GRAPH_API_ENDPOINT and
    MAPILLARY_TILES_ENDPOINT to it, and MAPILLARY_UPLOAD_ENDPOINT to it with /upload behind, and
    every verb asks the stand-in: the Graph API is at the address itself, vector tiles are under
    /maps/vtp/. For Panoramax set MLYGEO_PANORAMAX_URL to it with /api behind, or give that as
    `endpoint`. Each image is served as its column `provider` says, Mapillary's without the column;
    uploads are for Mapillary alone. Nothing but this machine can reach it. It serves until it is
    stopped.

    Parameters
    ----------
    images
        Images frame, or a file of one, of Mapillary, Panoramax or both: the images it has. Without
        it has none, and takes uploads.
    photos
        Folder with pictures ID.jpg, at any depth, such as `mlygeo download` makes; they are
        delivered as they are, in every size. Pictures that are not there are drawn.
    port
        Its port; 0 takes a free one.
    token
        The one token that it takes; any, or none, unless given.
    store
        Folder for what is uploaded: pictures, manifests and what became of them, to look at.
    latency
        Seconds before every answer; the service's own is about one.
    fail
        Share of requests that fail, 0 to 1, in every way that asking again overcomes: errors of
        the server, broken connections, bodies cut short, web pages, nonsense.
    missing
        Share of images that are gone, 0 to 1.
    url_lifetime
        Seconds until the address of a picture expires. Default: the service's 30 days.
    seed
        Another seed, other failures.

    Returns
    -------
    server
        The running server: `url` is its address, `panoramax` that of its Panoramax, `stop()` ends it,
        and so does leaving its `with` block.

    Raises
    ------
    FrameError
        If `images` is no images frame, or has images of another provider.
    FileError
        If a file or folder is missing.
    InputError
        If a number has no sense, or the port is taken.

    Examples
    --------
    >>> with run_standin(images="images.parquet", photos="pictures", latency=0.05) as server:
    ...     print(server.url)
    """
    from mlygeo import standin
    from mlygeo.store import as_frame

    for name, share in (("fail", fail), ("missing", missing)):
        if not 0 <= share <= 1:
            raise InputError(f"`{name}` is a share from 0 to 1, not {share:g}")
    lifetime = standin.faults.URL_LIFETIME if url_lifetime is None else url_lifetime
    for name, seconds in (("latency", latency), ("url_lifetime", lifetime)):
        if not 0 <= seconds < float("inf"):
            raise InputError(f"`{name}` is a number of seconds, not {seconds:g}")
    faults = standin.Faults(seed=seed, latency=latency, missing=missing, url_lifetime=lifetime)
    of_panoramax = faults.spread(fail, *standin.faults.PASSING_PANORAMAX)
    of_tiles = faults.spread(fail, *standin.faults.PASSING_TILES)
    faults = replace(faults.spread(fail), routes={"panoramax": of_panoramax, "tiles": of_tiles})
    frame = None if images is None else as_frame(images, frame="images")
    server = standin.start(frame, photos=photos, faults=faults, port=port, token=token, store=store)
    summary = {"url": server.url, "images": server.images, "photos": server.photos, "version": version()}
    counts = f"{counted(server.images, 'image')}, {server.photos:,} of them with a photo"
    return Job(
        lambda: server,
        summary,
        f"standing in for {' and '.join(server.providers)} with {counts}; Ctrl-C stops it",
        text=lambda: server.url,
        wait=lambda: _until_stopped(server),
    )


def _until_stopped(server: Server) -> Callable[[], None]:
    """Listen to the signals that end a process, and return the function that waits for one."""
    stopped = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in systems.ENDINGS}

    def wait() -> None:
        try:
            # On Windows, a signal ends a wait only at its timeout.
            while not stopped.wait(0.5):
                pass
        finally:
            server.stop()
            for number, handler in before.items():
                signal.signal(number, handler)

    return wait
