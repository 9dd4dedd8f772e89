"""
XMP packets: reading the properties of a photo, and setting those that make viewers open it as a panorama.

Only simple properties are read: attributes and plain elements of an `rdf:Description`. A packet that
declares entities is refused, nothing outside it is ever opened, and a damaged packet is read up to the
damage. Writing a packet changes only the bytes of the values that are set.
Format: ISO 16684-1; EXIF in XMP: CIPA DC-010; GPano: Google's photo sphere schema.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.parsers import expat

from mlygeo.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Mapping

GPANO = "http://ns.google.com/photos/1.0/panorama/"

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

PREFIXES = {
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/exif/1.0/aux/": "aux",
    "http://cipa.jp/exif/1.0/": "exifEX",
    GPANO: "GPano",
}
"""The namespaces that are read, and their prefixes in the names of properties."""

_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n <rdf:RDF xmlns:rdf="' + RDF + '">\n'
    " </rdf:RDF>\n</x:xmpmeta>\n"
    '<?xpacket end="w"?>'
)

_DESCRIPTION = f"{RDF} Description"

_LONGEST = 4096  # characters of a property; all properties that are read are short

_UNICODE = (
    (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe\0\0", "utf-32"), (b"\0\0\0<", "utf-32-be"), (b"<\0\0\0", "utf-32-le"),
    (b"\xfe\xff", "utf-16"), (b"\xff\xfe", "utf-16"), (b"\0<", "utf-16-be"), (b"<\0", "utf-16-le"),
)  # fmt: skip
"""How packets start, and the encoding that it means (XML 1.0, appendix F)."""

_DECLARED = re.compile(r"""^(\s*<\?xml[^>]*?)\s+encoding\s*=\s*(["']).*?\2""")

_PROJECTION = re.compile(rb"""ProjectionType\s*(?:=\s*["']|>)\s*(equirectangular|spherical)""", re.IGNORECASE)


class Properties:
    """
    The properties of an XMP packet, which is parsed at the first request for a property that it contains.

    Parameters
    ----------
    packet
        The packet; None where a photo has none.
    extension
        The extended XMP, for properties that the packet lacks.

    Attributes
    ----------
    problem
        The packet's problem; None without one, or before parsing.
    """

    def __init__(self, packet: bytes | None, extension: bytes | None = None) -> None:
        self._packet = None if packet is None else as_utf8(packet)
        self._extension = None if extension is None else as_utf8(extension)
        self._properties: dict[str, str] | None = None
        self.problem: str | None = None

    @property
    def exists(self) -> bool:
        """Whether there is a packet."""
        return self._packet is not None

    def text(self, *names: str) -> str | None:
        """Return the first existing one of some properties, such as `exif:GPSLatitude`."""
        packet = self._packet
        if packet is None:
            return None
        for name in names:
            # Most packets have none of the requested properties; searching is far faster than parsing.
            if self._properties is None and packet.isascii() and not self._mentions(name.partition(":")[2].encode()):
                continue
            if self._properties is None:
                self._properties, self.problem = read_properties(packet)
                if self._extension is not None:
                    further, problem = read_properties(self._extension)
                    self._properties = {**further, **self._properties}
                    self.problem = self.problem or problem
            if name in self._properties:
                return self._properties[name]
        return None

    def _mentions(self, name: bytes) -> bool:
        """Return whether a name stands in a packet, so that parsing is worth it."""
        return any(part is not None and name in part for part in (self._packet, self._extension))

    def is_panorama(self) -> bool:
        """Return whether the properties mark the picture as an equirectangular panorama."""
        return self._packet is not None and any(
            part is not None and b"ProjectionType" in part and _PROJECTION.search(part) is not None
            for part in (self._packet, self._extension)
        )


def as_utf8(packet: bytes) -> bytes:
    """Return a packet in UTF-8, whatever encoding of Unicode it is stored in; bytes that are none are replaced."""
    encoding = next((name for start, name in _UNICODE if packet.startswith(start)), None)
    if encoding is None:
        return packet
    text = packet.decode(encoding, "replace").strip("\ufeff\0\ufffd")
    return _DECLARED.sub(r"\1", text).encode("utf-8", "replace")


def read_properties(packet: bytes) -> tuple[dict[str, str], str | None]:
    """
    Return the simple properties of an XMP packet, and what is wrong with it.

    Parameters
    ----------
    packet
        The packet, as stored in the file.

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
        if space in PREFIXES and value.strip():
            found.setdefault(f"{PREFIXES[space]}:{local}", value.strip()[:_LONGEST])

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


@dataclass(frozen=True)
class Panorama:
    """A picture that shows a sphere, or a part of one, in equirectangular projection."""

    heading: float | None = None
    """Heading of the picture's centre, degrees clockwise from true north; None when unknown."""

    def properties(self, width: int, height: int) -> dict[str, str]:
        """
        Return its GPano properties.

        A picture of two to one shows the whole sphere. A lower picture is taken for a full turn, with
        the same angle missing above and below; a higher one for the full height, with the same angle
        missing left and right.

        Parameters
        ----------
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
        if self.heading is not None:
            found["PoseHeadingDegrees"] = f"{round(self.heading, 4) % 360:.4f}".rstrip("0").rstrip(".")
        return {name: str(value) for name, value in found.items()}


def with_panorama(existing: bytes | None, wanted: Mapping[str, str]) -> bytes:
    """
    Return an XMP packet with GPano properties.

    Where a packet says which part of the sphere the picture shows, the stitching software knew it:
    its values stay, only the heading is replaced, and missing properties are added.

    Parameters
    ----------
    existing
        The picture's packet; None where it has none.
    wanted
        The properties, from `Panorama.properties`.

    Raises
    ------
    FormatError
        If that packet is not well-formed XMP.
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
        text = as_utf8(existing).rstrip(b"\0").decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError("its XMP is damaged: it is not UTF-8") from error
    _must_be_well_formed(text.encode())
    return text


def _value_of(name: str) -> re.Pattern[str]:
    """Return a pattern for a property, as an attribute or an element; its value lies between groups 1 and 4."""
    name = re.escape(name)
    return re.compile(rf"""(\s{name}\s*=\s*(["'])|<{name}(?:\s[^<>]*)?(?<!/)>)([^"'<>]*)(\2|</{name}\s*>)""")


def _with_description(text: str, values: Mapping[str, str]) -> str:
    # All descriptions of a packet must have the same `rdf:about`.
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
    """Refuse a document type: XMP has none, and entities can grow without limit."""
    raise FormatError("its XMP is damaged: it declares a document type")


class _RefusedError(Exception):
    """The packet declares entities."""
