"""The data of the stand-in's routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlygeo.standin.imagery import Imagery
    from mlygeo.standin.panoramax import Panoramax
    from mlygeo.standin.pictures import Pictures
    from mlygeo.standin.records import Records
    from mlygeo.standin.upload_store import UploadStore


@dataclass(frozen=True)
class Backend:
    """
    The data that the routes answer from.

    Parameters
    ----------
    imagery
        Mapillary's images as tiles.
    records
        Mapillary's images as records of the Graph API.
    panoramax
        The images of Panoramax.
    pictures
        The pictures of all images.
    token
        The only valid token; None accepts any token, or none.
    url
        The server's own address.
    other_host
        Returns the address of another host, which must not receive any token.
    store
        Folder for uploads; None where there is none.
    uploads
        The store of uploads in that folder.
    """

    imagery: Imagery
    records: Records
    panoramax: Panoramax
    pictures: Pictures
    token: str | None
    url: str
    other_host: Callable[[], str]
    store: Path | None = None
    uploads: UploadStore | None = None
