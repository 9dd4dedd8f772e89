"""
The XMP properties that a photo's place and time stand in.

A packet is parsed only as far as simple properties go: attributes and plain elements of an
`rdf:Description`. A packet that declares entities is refused, nothing outside it is ever opened, and of
a damaged one what comes before the damage is kept. Format: ISO 16684-1; EXIF in XMP: CIPA DC-010.
"""

from __future__ import annotations

from xml.parsers import expat

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_PREFIXES = {
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/exif/1.0/aux/": "aux",
    "http://cipa.jp/exif/1.0/": "exifEX",
    "http://ns.google.com/photos/1.0/panorama/": "GPano",
}
_DESCRIPTION = f"{_RDF} Description"
_LONGEST = 4096  # characters of a property; all those wanted are short


class _RefusedError(Exception):
    """The packet declares entities."""


def properties(packet: bytes) -> tuple[dict[str, str], str | None]:
    """
    Return the simple properties of an XMP packet, and what is wrong with it.

    Parameters
    ----------
    packet
        The packet, as it stands in the file.

    Returns
    -------
    properties
        Text by name, such as `exif:GPSLatitude`; the first of each name.
    problem
        None where nothing is wrong.
    """
    found: dict[str, str] = {}
    path: list[str] = []
    text: list[str] = []

    def keep(name: str, value: str) -> None:
        space, _, local = name.rpartition(" ")
        if space in _PREFIXES and value.strip():
            found.setdefault(f"{_PREFIXES[space]}:{local}", value.strip()[:_LONGEST])

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == _DESCRIPTION:
            for key, value in attributes.items():
                keep(key, value)
        path.append(name)
        text.clear()

    def end(name: str) -> None:
        path.pop()
        if path and path[-1] == _DESCRIPTION and text:
            keep(name, "".join(text))
        text.clear()

    def characters(piece: str) -> None:
        if len(path) > 1 and path[-2] == _DESCRIPTION and sum(map(len, text)) < _LONGEST:
            text.append(piece)

    def refuse(*_: object) -> None:
        raise _RefusedError

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(packet.strip(b"\0 \r\n\t"), True)
    except expat.ExpatError as error:
        return found, f"the XMP packet is damaged ({expat.errors.messages.get(error.code, 'no XML')})"
    except _RefusedError:
        return {}, "the XMP packet declares entities and was not read"
    except (LookupError, ValueError):  # an encoding that Python does not know, or that maps several bytes
        return found, "the XMP packet is in an unknown encoding"
    return found, None
