"""Whose images are and under which licence: what rows say, and nothing that they do not."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo import attribution
from mlygeo.attribution import credits_of, link_of, of_others, of_row

UUID = "fc4bd9cd-e3d5-4218-81b3-0ae99d92635a"
ETALAB = "https://www.etalab.gouv.fr/licence-ouverte-open-licence/"
BY_SA = "https://creativecommons.org/licenses/by-sa/4.0/"
OF_PANORAMAX = {"id": UUID, "provider": "panoramax"}


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ({"id": 1, "creator_username": "jane"}, f"Mapillary contributor jane, CC BY-SA 4.0, {BY_SA}"),
        ({"id": np.int64(1)}, f"Mapillary contributor, CC BY-SA 4.0, {BY_SA}"),
        ({"id": "12", "provider": "mapillary", "licence": "CC-BY-SA-4.0"}, f"Mapillary contributor, CC BY-SA 4.0, {BY_SA}"),
        ({"id": "12", "provider": "mapillary", "licence": "CC0-1.0", "creator": "jo"},
         "Mapillary contributor jo, CC0-1.0, https://creativecommons.org/publicdomain/zero/1.0/"),
        (OF_PANORAMAX | {"creator": "IGN", "instance": "IGN", "licence": "etalab-2.0"},
         f"IGN via Panoramax (IGN), etalab-2.0 {ETALAB}"),
        (OF_PANORAMAX | {"creator": "jo", "licence": "CC-BY-SA-4.0", "licence_url": "https://example.org/l"},
         "jo via Panoramax, CC-BY-SA-4.0 https://example.org/l"),
        (OF_PANORAMAX | {"instance": "osm-fr", "licence": "[CC-BY-SA-4.0]"}, "Panoramax (osm-fr), [CC-BY-SA-4.0]"),
        (OF_PANORAMAX | {"licence": None, "creator": float("nan")}, "Panoramax"),
        ({"id": "9", "provider": "acme", "creator": "jo"}, "jo via acme"),
        ({"id": UUID}, None),
        ({"id": None}, None),
        ({"id": pd.NA}, None),
        ({"captured_at": 1}, None),
        ({"id": 5, "provider": None}, None),
        ({"id": "7", "provider": pd.NA, "creator": "jo", "licence": "CC-BY-4.0"},
         "jo, CC-BY-4.0 https://creativecommons.org/licenses/by/4.0/"),
    ],
)  # fmt: skip
def test_what_a_row_says(row, line):
    assert of_row(row).line == line


def test_a_row_counts_before_what_it_was_found_with():
    assert of_row(OF_PANORAMAX, "mapillary").line == "Panoramax"
    assert of_row({"id": UUID, "provider": None}, "panoramax").line == "Panoramax"


@pytest.mark.parametrize(
    ("licence", "link"),
    [
        ("etalab-2.0", ETALAB),
        ("ETALAB-2.0", ETALAB),
        ("CC-BY-SA-4.0", BY_SA),
        ("CC-BY-NC-SA-3.0", "https://creativecommons.org/licenses/by-nc-sa/3.0/"),
        ("[CC-BY-SA-4.0]", None),
        ("CC-BY-SA-4.0 ", None),
        ("CC-BY-SA-9.0", None),
        ("CC-SA-BY-4.0", None),
        ("proprietary", None),
        ("", None),
        (None, None),
    ],
)
def test_the_address_of_a_known_licence(licence, link):
    assert link_of(licence) == link


@pytest.mark.parametrize("odd", ["a\nb", "a\x00b", "a\u2028b", "a\ud800b", "\x07a\x07b"])
def test_odd_letters_do_not_get_into_lines(odd):
    assert of_row({"provider": "acme", "creator": odd}).creator.split() == ["a", "b"]


def table(*rows):
    return pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in attribution.COLUMNS})


def test_the_lines_of_many_images():
    ign = {"provider": "panoramax", "instance": "IGN", "licence": "etalab-2.0", "creator": "IGN"}
    osm = {"provider": "panoramax", "instance": "osm-fr", "licence": "CC-BY-SA-4.0"}
    people = [osm | {"creator": name} for name in ("zoe", "zoe", "amy", "bob", "cid", "dan")]
    none = {"provider": None}
    found = credits_of(table(*people, ign, ign, {"provider": "mapillary"}, none, {"provider": "toy"}))
    assert [tuple(each) for each in found] == [
        ("Mapillary, CC BY-SA 4.0", 1),
        (f"zoe, amy, bob and 2 others via Panoramax (osm-fr), CC-BY-SA-4.0 {BY_SA}", 6),
        (f"IGN via Panoramax (IGN), etalab-2.0 {ETALAB}", 2),
        ("toy", 1),
    ]
    assert (
        credits_of(table({"provider": "toy"}), lambda name, licence: f"The {name}, {licence}")[0].line
        == "The toy, None"
    )
    assert credits_of(table()) == []
    assert credits_of(pa.table({"id": [1]})) == []


VALUES = st.sampled_from([None, "", "a", "b", "none", "CC-BY-4.0", "[x]"])


@settings(deadline=None)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(attribution.COLUMNS, VALUES)), max_size=12), st.randoms())
def test_lines_do_not_depend_on_the_order_of_rows(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    found = credits_of(table(*rows))
    assert credits_of(table(*shuffled)) == found
    assert sum(credit.images for credit in found) == sum(
        of_row({"provider": None, **row}).line is not None for row in rows
    )


def test_attributions_of_others_stay():
    lines = [
        "Mapillary, CC BY-SA 4.0", "Panoramax, licence by picture", "© OpenStreetMap contributors, ODbL",
        "jo via Panoramax (IGN), etalab-2.0", "City of Panoramax Falls", "toy, CC0",
    ]  # fmt: skip
    assert of_others(lines, {"toy"}) == ["© OpenStreetMap contributors, ODbL", "City of Panoramax Falls"]
