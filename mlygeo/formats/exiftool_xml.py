"""
What ExifTool writes with -X: one element for each file, and its tags with the group that each comes from.

Only named tags are kept, so that the output of -ee for an hour of video fits into memory. Documents that declare
entities are refused, as in GPX files: they can make gigabytes of some lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, NamedTuple
from xml.parsers import expat

from mlygeo.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

NAMESPACES = ("http://ns.exiftool.org/", "http://ns.exiftool.ca/")
"""Beginnings of the namespaces of ExifTool since version 12, and before; the group follows in the last part but one."""

BLOCK = 1 << 16


class Record(NamedTuple):
    """The tags of one file: its path as ExifTool was given it, and (`Group:Tag`, text) in the order of the document."""

    path: str
    tags: list[tuple[str, str]]

    def texts(self) -> dict[str, str]:
        """Return the first text of each tag."""
        return dict(reversed(self.tags))


def records(file: BinaryIO, name: str, *, wanted: Callable[[str], bool]) -> Iterator[Record]:
    """
    Yield the files that a document of ExifTool describes.

    Parameters
    ----------
    file
        The document, open for reading; it may be a pipe.
    name
        Its name, for errors.
    wanted
        Whether a tag, `Group:Tag`, is kept.

    Raises
    ------
    FormatError
        If it is not such a document. What was complete before has been yielded then.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    finished: list[Record] = []
    tags: list[tuple[str, str]] = []
    pieces: list[str] = []
    depth, about, kept = 0, "", ""

    def start(element: str, attributes: dict[str, str]) -> None:
        nonlocal depth, about, kept
        depth += 1
        if depth == 1 and element != f"{RDF} RDF":
            raise _OtherError
        if depth == 2:
            about = attributes.get(f"{RDF} about", "")
            tags.clear()
        elif depth == 3:
            tag = _tag(element)
            kept = tag if tag and wanted(tag) else ""
            pieces.clear()
            parser.CharacterDataHandler = pieces.append if kept else None

    def end(_: str) -> None:
        nonlocal depth
        if depth == 3:
            if kept:
                tags.append((kept, "".join(pieces).strip()))
            parser.CharacterDataHandler = None
        elif depth == 2 and about:
            finished.append(Record(about, tags.copy()))
        depth -= 1

    def refuse(*_: object) -> None:
        raise _OtherError

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.EntityDeclHandler = refuse
    try:
        while block := file.read(BLOCK):
            parser.Parse(block, False)
            yield from finished
            finished.clear()
        parser.Parse(b"", True)
    except _OtherError:
        raise FormatError(f"{name} is not what ExifTool writes with -X") from None
    except expat.ExpatError as error:
        reason = expat.errors.messages.get(error.code, "not well-formed")
        raise FormatError(f"{name} is damaged in line {error.lineno}: {reason}") from error
    except (LookupError, ValueError) as error:  # from the codecs that expat asks
        raise FormatError(f"{name} is in an encoding that cannot be read ({error})") from error
    yield from finished


class _OtherError(Exception):
    """The document is of another kind."""


def _tag(element: str) -> str:
    """Return the group and the tag of an element: `Track3:GPSLatitude`."""
    namespace, _, tag = element.rpartition(" ")
    return f"{namespace.rstrip('/').split('/')[-2]}:{tag}" if namespace.startswith(NAMESPACES) else ""
