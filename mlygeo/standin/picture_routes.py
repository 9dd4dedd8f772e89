"""How the stand-in delivers pictures: to whoever has a signed address, and never to a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlygeo.standin.answers import Answer, Request, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlygeo.standin.backend import Backend
    from mlygeo.standin.faults import Faults

JPEG = "image/jpeg"


def picture(backend: Backend, request: Request, parts: Mapping[str, str]) -> Answer:
    """Answer for a picture."""
    if request.carries_secret:
        return plain(400, "Bad request: a token has no place here")
    faults, number = request.faults, int(parts["id"])
    signature, expiry = request.query.get("oh", ""), request.query.get("oe", "")
    if not backend.pictures.is_signed(parts["size"], number, signature, expiry):
        return expired(faults)
    row = backend.records.row(number)
    if row is None or faults.is_gone(number):
        return plain(404, "Not found")
    file = backend.pictures.file(number)
    if file is not None:
        return Answer(content_type=JPEG, file=file)
    is_pano = bool(backend.records.images["is_pano"].iloc[row])
    return Answer(backend.pictures.drawn(number, parts["size"], is_pano=is_pano), content_type=JPEG)


def expired(faults: Faults) -> Answer:
    """Return what is said of an address that has expired."""
    return plain(faults.expired_status, "URL signature expired")
