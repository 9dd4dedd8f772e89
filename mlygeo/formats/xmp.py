"""
The XMP packet that makes viewers open a picture as a panorama (GPano, Google's photo sphere schema).

A packet that is there keeps its every byte but for the values that are set anew.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.parsers import expat

from mlygeo.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlygeo.formats.exif import Panorama

GPANO = "http://ns.google.com/photos/1.0/panorama/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n <rdf:RDF xmlns:rdf="' + RDF + '">\n'
    " </rdf:RDF>\n</x:xmpmeta>\n"
    '<?xpacket end="w"?>'
)


def properties(panorama: Panorama, width: int, height: int) -> dict[str, str]:
    """
    Return the GPano properties of a panorama.

    A picture of two to one shows the whole sphere. One that is lower is taken for a full turn of
    which the same angle is missing above and below; one that is higher, for the full height of
    which the same angle is missing left and right.

    Parameters
    ----------
    panorama
        What is known of it.
    width, height
        Pixels of the picture.

    Returns
    -------
    properties
        Values by their names in the schema.
    """
    full_width = max(width, 2 * height)
    full_height = (full_width + 1) // 2
    found = {
        "UsePanoramaViewer": "True",
        "ProjectionType": "equirectangular",
        "FullPanoWidthPixels": full_width,
        "FullPanoHeightPixels": full_height,
        "CroppedAreaImageWidthPixels": width,
        "CroppedAreaImageHeightPixels": height,
        "CroppedAreaLeftPixels": (full_width - width) // 2,
        "CroppedAreaTopPixels": (full_height - height) // 2,
    }
    if panorama.heading is not None:
        found["PoseHeadingDegrees"] = f"{round(panorama.heading, 4) % 360:.4f}".rstrip("0").rstrip(".")
    return {name: str(value) for name, value in found.items()}


def packet(wanted: Mapping[str, str], existing: bytes | None) -> bytes:
    """
    Return an XMP packet with GPano properties.

    Where a packet says what part of the sphere the picture shows, whoever stitched it knew: its
    values stay, and only the heading is set, and what is missing is added.

    Parameters
    ----------
    wanted
        The properties, by name.
    existing
        The packet that the picture has; None where it has none.

    Raises
    ------
    FormatError
        If that packet is no well-formed XMP.
    """
    text = _PACKET if existing is None else _text(existing)
    prefixes = re.findall(r'xmlns:([\w.-]+)\s*=\s*["\']' + re.escape(GPANO) + r'["\']', text)
    missing = dict(wanted)
    for name in wanted:
        for prefix in dict.fromkeys(prefixes):
            pattern = _value_of(f"{prefix}:{name}")
            if pattern.search(text) is None:
                continue
            new = missing.pop(name, None)
            if new is not None and name == "PoseHeadingDegrees":
                text = pattern.sub(rf"\g<1>{new}\g<4>", text)
    if missing:
        text = _with_description(text, missing)
    data = text.encode()
    _must_be_well_formed(data)
    return data


def _text(existing: bytes) -> str:
    try:
        text = existing.rstrip(b"\0").decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError("its XMP is damaged: it is not UTF-8") from error
    _must_be_well_formed(text.encode())
    return text


def _value_of(name: str) -> re.Pattern[str]:
    """Return a pattern for a property, as an attribute or an element; its value lies between groups 1 and 4."""
    name = re.escape(name)
    return re.compile(rf"""(\s{name}\s*=\s*(["'])|<{name}(?:\s[^<>]*)?(?<!/)>)([^"'<>]*)(\2|</{name}\s*>)""")


def _with_description(text: str, values: Mapping[str, str]) -> str:
    # Every description of a packet is about the same thing, and says so in the same words.
    about = re.search(r'<[\w.-]+:Description\b[^>]*?\b[\w.-]+:about\s*=\s*(["\'])(.*?)\1', text)
    end = list(re.finditer(r"[ \t]*</([\w.-]+):RDF\s*>", text))
    if not end:
        raise FormatError("its XMP holds no RDF that could be added to")
    rdf = end[-1][1]
    attributes = "".join(f'\n    GPano:{name}="{value}"' for name, value in values.items())
    description = (
        f'  <{rdf}:Description {rdf}:about="{about[2] if about else ""}" xmlns:GPano="{GPANO}"{attributes}/>\n'
    )
    place = end[-1].start()
    return text[:place] + description + text[place:]


def _must_be_well_formed(data: bytes) -> None:
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise FormatError(f"its XMP is damaged: {error}") from error


def _refuse(*_: object) -> None:
    """Refuse a document type: XMP has none, and entities grow without limit."""
    raise FormatError("its XMP is damaged: it declares a document type")
