"""Descriptions of results: what is said in them, and nothing that is not known."""

import json

import pytest

from mlygeo.formats.publications import Column, Party, Publication, PublishedFile, Source, croissant, ro_crate


def publication(**facts):
    table = PublishedFile("selection.parquet", "images", 7, "a" * 64, (Column("id", "integer"), Column("t", "time")))
    given = {
        "title": "A", "about": "b", "date": "2026-01-02", "creators": (Party("Ada"), Party("Åsa", "https://a.example")),
        "publisher": Party("Uni", "https://u.example"), "address": "https://doi.example/1",
        "licences": (("CC-BY-SA-4.0", "https://creativecommons.org/licenses/by-sa/4.0/"),), "credit": ("c", "d"),
        "bounds": (9.0, 48.0, 10.0, 49.0), "period": ("2024-01-01", "2024-02-01"),
        "files": (table, PublishedFile("image_ids.txt", "ids", 3, "b" * 64)), "sources": (Source("x", "c" * 64),),
        "command": "mlygeo.select(k=2)", "software": {"mlygeo": "0.1.0", "numpy": "2.4"},
        "crs": "EPSG:4326", "sampling": "A point every 50 m.", "bias": "Where nobody took images.",
    }  # fmt: skip
    return Publication(**{**given, **facts})


def test_each_reference_of_a_crate_names_an_entity():
    described = ro_crate(publication())
    entities = {each["@id"]: each for each in described["@graph"]}
    assert len(entities) == len(described["@graph"])

    def references(value):
        if isinstance(value, dict):
            yield from (
                [value["@id"]] if value.keys() == {"@id"} else (x for each in value.values() for x in references(each))
            )
        if isinstance(value, list):
            yield from (x for each in value for x in references(each))

    outside = {"https://w3id.org/ro/crate/1.1"}
    assert {*references(described["@graph"])} - outside <= entities.keys()
    assert [each["@id"] for each in entities["./"]["hasPart"]] == ["selection.parquet", "image_ids.txt"]
    assert entities["selection.parquet"]["sha256"] == "a" * 64
    assert entities["#run"]["description"] == "mlygeo.select(k=2)"


def test_what_is_unknown_is_left_out():
    data = publication(creators=(), publisher=None, address=None, bounds=None, period=None, sources=())
    root = next(each for each in ro_crate(data)["@graph"] if each["@id"] == "./")
    assert not {"author", "publisher", "url", "contentLocation", "temporalCoverage"} & root.keys()
    assert not {"creator", "publisher", "url", "spatialCoverage", "temporalCoverage"} & croissant(data).keys()
    assert "null" not in json.dumps(ro_crate(data)) + json.dumps(croissant(data))


def test_tables_become_record_sets():
    described = croissant(publication())
    (records,) = described["recordSet"]
    assert [(each["name"], each["dataType"]) for each in records["field"]] == [
        ("id", "sc:Integer"),
        ("t", "sc:DateTime"),
    ]
    assert {each["source"]["fileObject"]["@id"] for each in records["field"]} == {"selection.parquet"}
    assert described["spatialCoverage"]["geo"]["box"] == "48.0 9.0 49.0 10.0"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Jane Doe", Party("Jane Doe")),
        (
            " Jane Doe <https://orcid.org/0000-0002-1825-0097> ",
            Party("Jane Doe", "https://orcid.org/0000-0002-1825-0097"),
        ),
        ("Jane <jane@example.org>", Party("Jane <jane@example.org>")),
    ],
)
def test_people_may_have_an_address(text, expected):
    assert Party.of(text) == expected
