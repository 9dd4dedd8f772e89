"""
A folder of results described for others: RO-Crate and Croissant, both JSON-LD.

Sources: RO-Crate 1.1 (https://www.researchobject.org/ro-crate/specification/1.1/), Process Run Crate 0.5
(https://www.researchobject.org/workflow-run-crate/profiles/process_run_crate), Croissant 1.0
(https://docs.mlcommons.org/croissant/docs/croissant-spec.html), GeoCroissant 1.0
(https://docs.mlcommons.org/croissant/docs/croissant-geo-spec.html).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CRATE_FILE, CROISSANT_FILE = "ro-crate-metadata.json", "croissant.json"
"""Names of the files: the first is that which the specification fixes."""

_CRATE = "https://w3id.org/ro/crate/1.1"

_PROCESS = "https://w3id.org/ro/wfrun/process/0.5"

_CROISSANT, _GEO = "http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/geo/1.0"

PARQUET, TEXT, JSON = "application/vnd.apache.parquet", "text/plain", "application/json"

FORMATS = {".parquet": PARQUET, ".txt": TEXT, ".json": JSON, ".csv": "text/csv"}
"""Media type of each ending."""


@dataclass(frozen=True)
class Column:
    """
    A column of a table.

    Parameters
    ----------
    name
        Its name.
    kind
        "integer", "float", "text", "boolean", "time" or "geometry".
    """

    name: str
    kind: str


@dataclass(frozen=True)
class PublishedFile:
    """
    A file that is published.

    Parameters
    ----------
    name
        Its path in the folder, with slashes.
    about
        What is in it.
    bytes, sha256
        Its size and hash.
    columns
        Those of a table that is described column by column.
    """

    name: str
    about: str
    bytes: int
    sha256: str
    columns: tuple[Column, ...] = ()

    @property
    def media_type(self) -> str:
        """Its media type."""
        return FORMATS["." + self.name.rpartition(".")[2]]


@dataclass(frozen=True)
class Source:
    """
    Something that the results were made of.

    Parameters
    ----------
    name
        What it is called.
    sha256
        Its hash; None where it has none.
    """

    name: str
    sha256: str | None


@dataclass(frozen=True)
class Party:
    """
    A person or an organization.

    Parameters
    ----------
    name
        Its name.
    address
        Its address on the web, such as that of an ORCID; None where it is unknown.
    """

    name: str
    address: str | None = None

    @classmethod
    def of(cls, text: str) -> Party:
        """Return who a text names, such as "Jane Doe <https://orcid.org/0000-0002-1825-0097>"."""
        found = re.fullmatch(r"\s*(.*?\S)\s*<\s*(https?://[^<>\s]+)\s*>\s*", text)
        name, address = (text, None) if found is None else (found[1], found[2])
        return cls(" ".join(name.split()), address)


@dataclass(frozen=True)
class Publication:
    """
    Results, and what is said of them.

    Parameters
    ----------
    title, about
        Their name, and a sentence on them.
    date
        When they were made, ISO 8601.
    creators
        The people who publish them.
    publisher
        The organization that publishes them; None where there is none.
    address
        Where they are published; None where that is unknown.
    licences
        Name and address of each licence of the data.
    credit
        Attributions that go with the data.
    bounds
        West, south, east, north, degrees; None where it is unknown.
    period
        First and last capture time, ISO 8601; None where it is unknown.
    files
        The files.
    sources
        What they were made of.
    command
        What has made them, with all options.
    software
        Versions of what has made them.
    crs
        The CRS of the positions in the files.
    sampling
        How the places were chosen, in a sentence.
    bias
        Where there are none, in a sentence.
    """

    title: str
    about: str
    date: str
    creators: tuple[Party, ...]
    publisher: Party | None
    address: str | None
    licences: tuple[tuple[str, str], ...]
    credit: tuple[str, ...]
    bounds: tuple[float, float, float, float] | None
    period: tuple[str, str] | None
    files: tuple[PublishedFile, ...]
    sources: tuple[Source, ...]
    command: str
    software: Mapping[str, str]
    crs: str
    sampling: str
    bias: str


def ro_crate(data: Publication) -> dict[str, Any]:
    """
    Return the metadata of an RO-Crate whose root is the folder of the files.

    Parameters
    ----------
    data
        What is published.

    Returns
    -------
    metadata
        JSON-LD, for `CRATE_FILE`: the files, whose and of which licence they are, and the run that made them.
    """
    known: set[str] = set()
    publisher = [] if data.publisher is None else [_party(data.publisher, "Organization", known)]
    member = {"affiliation": _to(publisher[0])} if publisher else {}
    people = [{**_party(each, "Person", known), **member} for each in data.creators]
    licences = [
        {"@id": url, "@type": "CreativeWork", "name": name, "description": name, "url": url}
        for name, url in data.licences
    ]
    number = data.software["mlygeo"]
    program = {
        "@id": f"https://pypi.org/project/mlygeo/{number}/", "@type": "SoftwareApplication", "name": "mlygeo",
        "version": number, "url": "https://pypi.org/project/mlygeo/",
        "softwareRequirements": [f"{name} {found}" for name, found in data.software.items() if name != "mlygeo"],
    }  # fmt: skip
    files = [_crate_file(file, data) for file in data.files]
    sources = [
        {"@id": f"#source-{number}", "@type": "CreativeWork", "name": source.name,
         **({"sha256": source.sha256} if source.sha256 else {})}
        for number, source in enumerate(data.sources, 1)
    ]  # fmt: skip
    action = {
        "@id": "#run", "@type": "CreateAction", "name": f"{data.title}: the run", "description": data.command,
        "instrument": _to(program), "object": _each(sources), "result": _each(files), "endTime": data.date,
        **({"agent": _each(people)} if people else {}),
    }  # fmt: skip
    place = [] if data.bounds is None else [_crate_place(data.bounds)]
    root = {
        "@id": "./", "@type": "Dataset", "name": data.title, "description": data.about, "datePublished": data.date,
        "license": _each(licences), "creditText": "; ".join(data.credit), "hasPart": _each(files),
        "mentions": _to(action), "conformsTo": {"@id": _PROCESS},
        **({"author": _each(people)} if people else {}), **({"publisher": _to(publisher[0])} if publisher else {}),
        **({"url": data.address} if data.address else {}), **({"contentLocation": _to(place[0])} if place else {}),
        **({"temporalCoverage": "/".join(data.period)} if data.period else {}),
    }  # fmt: skip
    descriptor = {
        "@id": CRATE_FILE, "@type": "CreativeWork", "conformsTo": {"@id": _CRATE}, "about": {"@id": "./"},
    }  # fmt: skip
    profile = {"@id": _PROCESS, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    terms = {"sha256": "https://schema.org/sha256", "creditText": "https://schema.org/creditText"}
    graph = [descriptor, root, *files, *sources, action, program, profile, *licences, *people, *publisher, *place]
    return {"@context": [f"{_CRATE}/context", terms], "@graph": graph}


def _party(party: Party, kind: str, known: set[str]) -> dict[str, Any]:
    """Return the entity of a party, whose id is none of those that are known, and is known from here on."""
    name = re.sub(r"\W+", "-", party.name).strip("-")
    id_ = party.address or f"#{kind.lower()}-{name}"
    number = 1
    while id_ in known:
        number += 1
        id_ = f"#{kind.lower()}-{name}-{number}"
    known.add(id_)
    return {"@id": id_, "@type": kind, "name": party.name, **({"url": party.address} if party.address else {})}


def _each(entities: Sequence[Mapping[str, Any]]) -> Any:
    """Return references to entities; to one of them by itself, as RO-Crate wants it."""
    found = [_to(entity) for entity in entities]
    return found[0] if len(found) == 1 else found


def _to(entity: Mapping[str, Any]) -> dict[str, str]:
    return {"@id": entity["@id"]}


def _crate_file(file: PublishedFile, data: Publication) -> dict[str, Any]:
    return {
        "@id": file.name, "@type": "File", "name": file.name, "description": file.about,
        "contentSize": str(file.bytes), "sha256": file.sha256, "encodingFormat": file.media_type,
        "license": _each([{"@id": url} for _, url in data.licences]),
    }  # fmt: skip


def _crate_place(bounds: tuple[float, float, float, float]) -> dict[str, Any]:
    west, south, east, north = bounds
    return {"@id": "#place", "@type": "Place", "name": f"{west}, {south}, {east}, {north} (west, south, east, north)"}


CONTEXT = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs", "column": "cr:column",
    "conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/", "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty", "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract", "field": "cr:field", "fileProperty": "cr:fileProperty", "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet", "format": "cr:format",
    "geocr": "http://mlcommons.org/croissant/geo/", "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath", "key": "cr:key", "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path",
    "recordSet": "cr:recordSet", "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated",
    "replace": "cr:replace", "samplingRate": "cr:samplingRate", "sc": "https://schema.org/",
    "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField", "transform": "cr:transform",
}  # fmt: skip
"""The context that the specification of Croissant prints, with the namespace of GeoCroissant."""

_NO_PIXELS = "none on the ground: positions of cameras and points along streets, and no raster"

_NO_CADENCE = "irregular: when contributors took their pictures"

_DATA_TYPES = {
    "integer": "sc:Integer", "float": "sc:Float", "text": "sc:Text", "boolean": "sc:Boolean", "time": "sc:DateTime",
    "geometry": "sc:Text",
}  # fmt: skip


def croissant(data: Publication) -> dict[str, Any]:
    """
    Return the Croissant metadata of the files.

    Parameters
    ----------
    data
        What is published; tables with columns become record sets.

    Returns
    -------
    metadata
        JSON-LD, for `CROISSANT_FILE`, with the terms of GeoCroissant that fit places where pictures were taken: there
        are no pixels on the ground, bands or cadence, which is said where a term is due.
    """
    west, south, east, north = data.bounds or (0.0, 0.0, 0.0, 0.0)
    shape = {"@type": "sc:GeoShape", "box": f"{south} {west} {north} {east}"}
    place = {"spatialCoverage": {"@type": "sc:Place", "geo": shape}}
    publisher = {} if data.publisher is None else {"publisher": _croissant_party(data.publisher, "sc:Organization")}
    return {
        "@context": CONTEXT, "@type": "sc:Dataset", "conformsTo": [_CROISSANT, _GEO], "name": data.title,
        "description": data.about, "license": [url for _, url in data.licences],
        "datePublished": data.date, "citeAs": "; ".join(data.credit), "version": "1.0.0",
        **({"creator": [_croissant_party(each, "sc:Person") for each in data.creators]} if data.creators else {}),
        **({"url": data.address} if data.address else {}), **(place if data.bounds else {}),
        "geocr:coordinateReferenceSystem": data.crs, "geocr:spatialResolution": _NO_PIXELS,
        "geocr:samplingStrategy": data.sampling, "geocr:spatialBias": data.bias,
        **({"geocr:temporalResolution": _NO_CADENCE} if data.period else {}),
        **publisher, **({"temporalCoverage": "/".join(data.period)} if data.period else {}),
        "distribution": [
            {"@type": "cr:FileObject", "@id": file.name, "name": file.name, "description": file.about,
             "contentUrl": file.name, "contentSize": f"{file.bytes} B", "encodingFormat": _parquet_as_known(file),
             "sha256": file.sha256}
            for file in data.files
        ],
        "recordSet": [*_record_sets(data.files)],
    }  # fmt: skip


def _croissant_party(party: Party, kind: str) -> dict[str, Any]:
    return {"@type": kind, "name": party.name, **({"url": party.address} if party.address else {})}


def _parquet_as_known(file: PublishedFile) -> str:
    """Return the media type as Croissant's readers know it."""
    return "application/x-parquet" if file.media_type == PARQUET else file.media_type


def _record_sets(files: Sequence[PublishedFile]) -> Iterator[dict[str, Any]]:
    for file in files:
        if not file.columns:
            continue
        name = file.name.rpartition(".")[0].replace("/", "_")
        yield {
            "@type": "cr:RecordSet", "@id": name, "name": name, "description": file.about,
            "field": [
                {"@type": "cr:Field", "@id": f"{name}/{column.name}", "name": column.name, "description": column.name,
                 "dataType": _DATA_TYPES[column.kind],
                 "source": {"fileObject": {"@id": file.name}, "extract": {"column": column.name}}}
                for column in file.columns
            ],
        }  # fmt: skip
