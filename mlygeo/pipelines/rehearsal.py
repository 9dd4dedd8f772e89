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
    Run a local server that answers like Mapillary and Panoramax, to rehearse a job.

    The first line of output is the address of the server. To let all other commands use it, set
    MAPILLARY_GRAPH_API_ENDPOINT and MAPILLARY_TILES_ENDPOINT to the address, and MAPILLARY_UPLOAD_ENDPOINT to the
    address followed by /upload. The Graph API is at the address itself, vector tiles are below /maps/vtp/. For
    Panoramax, set MLYGEO_PANORAMAX_URL to the address followed by /api, or give that as the endpoint option. The
    column provider of an image tells its provider; without the column it is Mapillary. Uploads work for Mapillary
    only. Only this computer can reach the server. It runs until you stop it.

    Parameters
    ----------
    images
        File of the images to serve (in Python also a frame), of Mapillary, Panoramax or both. Default: no images;
        uploads are accepted.
    photos
        Folder with pictures named ID.jpg, at any depth, as made by `mlygeo download`. They are delivered unchanged,
        for every size. Missing pictures are drawn.
    port
        Port of the server; 0 chooses a free one.
    token
        The only token to accept. Default: any token, or none.
    store
        Folder for uploads: pictures, manifests and their status.
    latency
        Seconds before each answer. The real service takes about one.
    fail
        Share of requests that fail, 0 to 1, in all ways that a retry can solve: server errors, broken connections,
        truncated bodies, web pages, nonsense.
    missing
        Share of images reported as deleted, 0 to 1.
    url_lifetime
        Seconds until the address of a picture expires. Default: 30 days, as in the service.
    seed
        Seed of the failures; another seed gives other failures.

    Returns
    -------
    server
        The running server: `url` is its address, `panoramax` that of its Panoramax, `stop()` ends it, as does the end
        of its `with` block.

    Raises
    ------
    FrameError
        If `images` is not an images frame, or has images of another provider.
    FileError
        If a file or folder is missing.
    InputError
        If a number is invalid, or the port is in use.

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
