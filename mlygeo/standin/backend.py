"""What the stand-in's routes answer from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlygeo.standin.imagery import Imagery
    from mlygeo.standin.pictures import Pictures
    from mlygeo.standin.records import Records
    from mlygeo.standin.upload_store import UploadStore


@dataclass(frozen=True)
class Backend:
    """
    What the routes answer from.

    Parameters
    ----------
    imagery
        The images as tiles.
    records
        The images as the Graph API tells of them.
    pictures
        Their pictures.
    token
        The one token that is good; None where any is, or none.
    url
        The server's own address.
    other_host
        Returns the address of another host, which must not get any token.
    store
        Folder for what is uploaded; None where there is none.
    uploads
        Keeps what is uploaded there.
    """

    imagery: Imagery
    records: Records
    pictures: Pictures
    token: str | None
    url: str
    other_host: Callable[[], str]
    store: Path | None = None
    uploads: UploadStore | None = None
