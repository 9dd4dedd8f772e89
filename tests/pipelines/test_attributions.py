"""Every verb credits the images that it used, by their rows, and nobody else."""

import json

import geopandas as gpd
import pandas as pd
import pytest

import mlygeo
from mlygeo import frames

BY_SA = "https://creativecommons.org/licenses/by-sa/4.0/"
ETALAB = "https://www.etalab.gouv.fr/licence-ouverte-open-licence/"
IGN = f"IGN via Panoramax (ign), etalab-2.0 {ETALAB}"
JO = f"jo via Panoramax (osm-fr), CC-BY-SA-4.0 {BY_SA}"
OSM = frames.OPENSTREETMAP


@pytest.fixture
def mixed(images):
    """Stuttgart's images as if they were of two providers, half of each, and two of nobody knows whom."""
    few = images.head(400).reset_index(drop=True)
    of_ign = few.index % 2 == 0
    mixed = few.drop(columns=["id", "creator_id", "organization_id"]).assign(
        id=[f"{number:08x}-0000-4000-8000-000000000000" for number in few.index],
        creator_id=pd.Series(None, few.index, dtype="str"),
        organization_id=pd.Series(None, few.index, dtype="str"),
        captured_at=few["captured_at"].dt.as_unit("us"),
        provider=pd.Series("panoramax", few.index, dtype="str").mask(few.index < 2),
        instance=pd.Series("ign", few.index, dtype="str").where(of_ign, "osm-fr").mask(few.index < 2),
        licence=pd.Series("etalab-2.0", few.index, dtype="str").where(of_ign, "CC-BY-SA-4.0").mask(few.index < 2),
        creator=pd.Series("IGN", few.index, dtype="str").where(of_ign, "jo").mask(few.index < 2),
    )
    mixed.attrs = {"attribution": ["Panoramax, licence by picture", frames.MAPILLARY]}
    return mixed


def of(frame, creator):
    return frame[frame["creator"] == creator].reset_index(drop=True)


def points_at(frame):
    return gpd.GeoDataFrame({"point_id": range(len(frame))}, geometry=frame.geometry.to_numpy(), crs=4326)


def test_a_selection_credits_what_was_chosen(mixed, tmp_path):
    for creator, line in (("jo", JO), ("IGN", IGN)):
        chosen = mlygeo.select(points=points_at(of(mixed, creator).head(3)), images=mixed, srid=25832, max_distance=0.0)
        assert set(chosen["creator"]) == {creator}
        assert chosen.attrs["attribution"] == chosen.attrs["summary"]["attribution"] == [line]
        assert chosen.attrs["summary"]["providers"]["panoramax"]["licences"] == {
            chosen["licence"].iloc[0]: chosen["id"].nunique()
        }


def test_images_of_an_unknown_provider_are_credited_to_nobody(mixed, edges):
    unknown = mixed.head(2).drop(columns=["provider", "instance", "licence", "creator"])
    unknown.attrs = {}
    chosen = mlygeo.select(points=points_at(unknown), images=unknown, srid=25832)
    assert chosen.attrs["attribution"] == []
    assert mlygeo.coverage(streets=edges, images=unknown, srid=25832).attrs["attribution"] == [OSM]


def test_coverage_and_gaps_credit_the_images(mixed, edges, tmp_path):
    expected = [JO, IGN] if (mixed["creator"] == "jo").sum() > (mixed["creator"] == "IGN").sum() else [IGN, JO]
    found = mlygeo.coverage(streets=edges, images=mixed, srid=25832)
    assert found.attrs["attribution"] == found.attrs["summary"]["attribution"] == [*expected, OSM]
    assert mlygeo.street_coverage(edges, of(mixed, "jo"), srid=25832).attrs["attribution"] == [JO, OSM]
    assert mlygeo.coverage_gaps(edges, of(mixed, "IGN"), srid=25832).attrs["attribution"] == [IGN, OSM]


def test_sequences_credit_their_images(mixed):
    assert mlygeo.summarise(of(mixed, "jo")).attrs["attribution"] == [JO]


def test_written_selections_say_whose_they_are(mixed, tmp_path):
    images = mlygeo.write_frame(mixed, tmp_path / "images.parquet")
    points = mlygeo.write_frame(points_at(of(mixed, "jo").head(2)), tmp_path / "points.gpkg")
    from mlygeo import cli

    assert cli.main(
        ["select", "--images", str(images), "--points", str(points), "--srid", "25832", "-o", str(tmp_path / "out")]
    ) in {0, None}
    back = mlygeo.read_frame(tmp_path / "out" / "selection.parquet")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert back.attrs["attribution"] == summary["attribution"] == frames.credited_of(back)
    assert back.loc[back["creator"] == "jo", "licence"].eq("CC-BY-SA-4.0").all()
