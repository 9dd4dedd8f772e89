"""
XMP packets: reading the properties of a photo, and setting those of panoramas, of the owner and the licence.

Only simple properties are read: attributes and plain elements of an `rdf:Description`. A packet that
declares entities is refused, nothing outside it is ever opened, and a damaged packet is read up to the
damage. Writing a packet changes only the bytes of the values that are set.
Format: ISO 16684-1, and part 2 for the namespaces dc and xmpRights; EXIF in XMP: CIPA DC-010; GPano: Google's
photo sphere schema; cc: Creative Commons' rights expression language.
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

DC = "http://purl.org/dc/elements/1.1/"

XMP_RIGHTS = "http://ns.adobe.com/xap/1.0/rights/"

CC = "http://creativecommons.org/ns#"

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
            found["PoseHeadingDegrees"] = _degrees(round(self.heading, 4) % 360)
        return {name: str(value) for name, value in found.items()}


@dataclass(frozen=True)
class Pose:
    """A flat picture of which is known how the camera stood; it did not lean."""

    heading: float | None
    """Heading of the picture's centre, degrees clockwise from true north; None when unknown."""

    pitch: float
    """Degrees by which the camera looked up."""

    def properties(self, _width: int, _height: int) -> dict[str, str]:
        """
        Return its GPano properties.

        GPano is a schema of panoramas, and viewers open a picture as one by `ProjectionType`, and place it on their
        sphere by the fields of its full size and its crop. So a flat picture has none of these; it says that no
        viewer of panoramas is to be used, and which way it looks, which tools for street-level pictures read.

        Returns
        -------
        properties
            Values by their names in the schema.
        """
        found = {"UsePanoramaViewer": "False", "PosePitchDegrees": _degrees(self.pitch), "PoseRollDegrees": "0"}
        return (
            found if self.heading is None else {**found, "PoseHeadingDegrees": _degrees(round(self.heading, 4) % 360)}
        )


def _degrees(angle: float) -> str:
    return f"{round(angle, 4):.4f}".rstrip("0").rstrip(".")


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
        text = _added(text, [f'xmlns:GPano="{GPANO}"', *(f'GPano:{name}="{value}"' for name, value in missing.items())])
    data = text.encode()
    _must_be_well_formed(data)
    return data


@dataclass(frozen=True)
class Statement:
    """What a picture says of its owner and its licence; what is unknown is None."""

    creator: str | None = None
    """Name of the owner: dc:creator, in EXIF Artist."""

    rights: str | None = None
    """The whole statement: dc:rights, in EXIF Copyright."""

    terms: str | None = None
    """The licence: xmpRights:UsageTerms."""

    url: str | None = None
    """Address of the licence: xmpRights:WebStatement."""

    cc: str | None = None
    """Address of a licence of Creative Commons at Creative Commons: cc:license."""


_STATED = {
    f"{DC} creator": "creator",
    f"{DC} rights": "rights",
    f"{XMP_RIGHTS} UsageTerms": "terms",
    f"{XMP_RIGHTS} WebStatement": "url",
    f"{CC} license": "license",
}
"""Properties that state owner and licence, and what they are called here."""


def stated(packet: bytes | None) -> dict[str, str]:
    """
    Return what a packet itself says of owner and licence.

    Parameters
    ----------
    packet
        The packet; None where a photo has none.

    Returns
    -------
    stated
        "creator", "rights", "terms", "url" and "license", as far as there are such properties; "" for empty ones.

    Raises
    ------
    FormatError
        If the packet is not well-formed XMP.
    """
    found: dict[str, str] = {}
    path: list[str] = []
    if packet is None:
        return found

    def start(name: str, attributes: dict[str, str]) -> None:
        inside = next((_STATED[each] for each in path if each in _STATED), None)
        for key, value in {name: "", **(attributes if name == _DESCRIPTION else {})}.items():
            if key in _STATED and path and (key != name or path[-1] == _DESCRIPTION):
                found[_STATED[key]] = found.get(_STATED[key], "") + value.strip()
        here = _STATED.get(name, inside)
        if here in found:
            found[here] += attributes.get(f"{RDF} resource", "").strip()
        path.append(name)

    def characters(piece: str) -> None:
        here = next((_STATED[each] for each in path if each in _STATED), None)
        if here in found and len(found[here]) < _LONGEST:
            found[here] += piece.strip()

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: path.pop()
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(_text(packet).encode(), True)
    except expat.ExpatError as error:
        raise FormatError(f"its XMP is damaged: {error}") from error
    return found


def with_statement(existing: bytes | None, wanted: Statement) -> bytes:
    """
    Return an XMP packet with owner and licence. Properties that the packet has stay as they are.

    Parameters
    ----------
    existing
        The picture's packet; None where it has none.
    wanted
        What to write.

    Raises
    ------
    FormatError
        If that packet is not well-formed XMP.
    """
    from xml.sax.saxutils import escape, quoteattr  # it imports an HTTP client, which readers of photos do not need

    there = stated(existing)
    rdf = "rdf:" if existing is None else _rdf(_text(existing))
    url = wanted.url or ""
    made = {
        "creator": _array("dc:creator", "Seq", wanted.creator, rdf),
        "rights": _array("dc:rights", "Alt", wanted.rights, rdf),
        "terms": _array("xmpRights:UsageTerms", "Alt", wanted.terms, rdf),
        "url": url and f"<xmpRights:WebStatement>{escape(url)}</xmpRights:WebStatement>",
        "license": wanted.cc and f"<cc:license {rdf}resource={quoteattr(wanted.cc)}/>",
    }
    elements = [element for name, element in made.items() if element and name not in there]
    if not elements:
        return b"" if existing is None else existing
    spaces = {"dc": DC, "xmpRights": XMP_RIGHTS, "cc": CC}
    names = [name for name in spaces if any(element.startswith(f"<{name}:") for element in elements)]
    used = [f'xmlns:{name}="{spaces[name]}"' for name in names]
    text = _added(_PACKET if existing is None else _text(existing), used, elements)
    data = text.encode()
    _must_be_well_formed(data)
    return data


def _array(name: str, kind: str, value: str | None, rdf: str) -> str | None:
    from xml.sax.saxutils import escape

    if value is None:
        return None
    language = ' xml:lang="x-default"' if kind == "Alt" else ""
    return f"<{name}><{rdf}{kind}><{rdf}li{language}>{escape(value)}</{rdf}li></{rdf}{kind}></{name}>"


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


def _added(text: str, attributes: list[str], elements: list[str] | None = None) -> str:
    """Return a packet with a further description, which has these attributes and elements."""
    # All descriptions of a packet must have the same `rdf:about`.
    about = re.search(r'<[\w.-]+:Description\b[^>]*?\b[\w.-]+:about\s*=\s*(["\'])(.*?)\1', text)
    rdf, place = _rdf(text), _end(text).start()
    inside = "".join(f"\n   {element}" for element in elements or ())
    end = f">{inside}\n  </{rdf}Description>\n" if elements else "/>\n"
    start = f'  <{rdf}Description {rdf}about="{about[2] if about else ""}" '
    return text[:place] + start + "\n    ".join(attributes) + end + text[place:]


def _rdf(text: str) -> str:
    """Return the prefix that a packet has for RDF, with its colon."""
    return f"{_end(text)[1]}:"


def _end(text: str) -> re.Match[str]:
    end = list(re.finditer(r"[ \t]*</([\w.-]+):RDF\s*>", text))
    if not end:
        raise FormatError("its XMP holds no RDF that could be added to")
    return end[-1]


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
