"""Streets are cut at the borders of tiles and hexagons, so that cells have the lengths that GEOS finds in them."""

import numpy as np
import pytest
import shapely
from helpers.installed import has, needs
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo.errors import InputError
from mlygeo.spatial import cell_areas, cells, geodesy, polylines


def laid(lines):
    """Lines of degrees, whose metres are their degrees times 100,000."""
    vertices = np.concatenate([np.array(line, dtype=float) for line in lines])
    return polylines.measure(*(vertices.T * 1e5), np.cumsum([0, *map(len, lines)])), vertices


def lengths_of(areas, lines):
    measured, vertices = laid(lines)
    cut = areas.cut(measured, vertices)
    key, several = areas.of(cut.lon, cut.lat)
    assert not several.any()
    keys, place = np.unique(key, return_inverse=True)
    metres = np.zeros(len(keys))
    np.add.at(metres, place, (cut.stop - cut.start) / 1e6)
    return dict(zip(keys.tolist(), metres.tolist(), strict=True)), measured


LINES = st.lists(
    st.lists(st.tuples(st.floats(-0.02, 0.02), st.floats(-0.02, 0.02)), min_size=2, max_size=5, unique=True),
    min_size=1, max_size=4,
)  # fmt: skip


CELLS = ["quadkey14", "quadkey18", *(["h3:7", "h3:9"] if has("cells") else [])]


@settings(deadline=None, max_examples=40)
@given(lines=LINES, text=st.sampled_from(CELLS), lat=st.sampled_from([-33, 0, 60]))
def test_cells_have_the_lengths_that_geos_finds(lines, text, lat):
    areas = cell_areas.of(text)
    lines = [[(9.17 + x, lat + y) for x, y in line] for line in lines]
    found, measured = lengths_of(areas, lines)
    assert sum(found.values()) == pytest.approx(measured.length.sum(), abs=1e-3)
    whole = shapely.multilinestrings([shapely.linestrings(line) for line in lines])

    def side_of(shape):
        """Where GEOS may differ: a hexagon's side is an arc, up to 0.1 m off the straight line of its shape."""
        return shape.boundary.buffer(3e-6 if text.startswith("h3") else 0.0)

    keys = np.array(list(found))
    for key, shape in zip(keys.tolist(), areas.shapes(keys), strict=True):
        inside = [shapely.intersection(shapely.linestrings(line), shape).length for line in lines]
        expected = sum(
            shapely.intersection(shapely.linestrings(line[i : i + 2]), shape).length
            for line in lines
            for i in range(len(line) - 1)
        )
        along = sum(shapely.intersection(shapely.linestrings(line), side_of(shape)).length for line in lines)
        assert found[key] == pytest.approx(expected * 1e5, abs=0.5 + along * 1e5), (key, inside)
    outside = shapely.difference(whole, shapely.union_all(areas.shapes(keys).tolist())).length
    sides = shapely.union_all([side_of(shape) for shape in areas.shapes(keys)])
    assert outside * 1e5 < 0.5 + shapely.intersection(whole, sides).length * 1e5


def test_tiles_have_their_names_and_boxes():
    areas = cell_areas.of("quadkey17")
    key, _ = areas.of(np.array([9.17, np.nan]), np.array([48.77, 1.0]))
    assert key[1] == -1
    assert areas.labels(key[:1]) == [cells.quadkey(int(cells.codes(np.array([9.17]), np.array([48.77]), 17)[0]), 17)]
    assert shapely.intersects_xy(areas.shapes(key[:1])[0], 9.17, 48.77)


def test_hexagons_have_the_names_of_h3():
    h3 = pytest.importorskip("h3")
    areas = cell_areas.of("h3:9")
    key, _ = areas.of(np.array([9.17, np.nan]), np.array([48.77, 1.0]))
    assert key[1] == -1
    assert areas.labels(key[:1]) == [h3.latlng_to_cell(48.77, 9.17, 9)]
    corners = np.array(h3.cell_to_boundary(areas.labels(key[:1])[0]))[:, ::-1]
    assert areas.shapes(key[:1])[0].normalize() == shapely.Polygon(corners).normalize()


@pytest.mark.parametrize("text", ["quadkey15", pytest.param("h3:8", marks=needs("cells"))])
def test_across_the_antimeridian(text):
    areas = cell_areas.of(text)
    vertices = np.array([[179.97, -17.0], [-179.97, -17.002]])
    metres = geodesy.distance(*vertices[:1].T, *vertices[1:].T)[0]
    measured = polylines.measure(np.array([0.0, metres]), np.zeros(2), np.array([0, 2]))
    cut = areas.cut(measured, vertices)
    assert (cut.stop - cut.start).sum() == round(metres * 1e6)
    key, _ = areas.of(cut.lon, cut.lat)
    shapes = areas.shapes(np.unique(key))
    assert all(shape.bounds[0] >= -180 and shape.bounds[2] <= 180 for shape in shapes)
    steps = np.linspace(0, 1, 4001)
    lon = 179.97 + 0.06 * steps
    places, _ = areas.of(np.where(lon > 180, lon - 360, lon), -17.0 - 0.002 * steps)
    for each in np.unique(key):
        share = (cut.stop - cut.start)[key == each].sum() / (metres * 1e6)
        assert share == pytest.approx((places == each).mean(), abs=2e-3)


@pytest.mark.parametrize(
    "text", ["quadkey", "quadkey31", "h3:16", "h3:-1", "h39", "h3:9.5", "17", "", "quadkey17 ", "x" * 999]
)
def test_what_means_no_cells_is_refused(text):
    with pytest.raises(InputError, match="`cells` is"):
        cell_areas.of(text)


@pytest.mark.parametrize("text", ["quadkey30", pytest.param("h3:15", marks=needs("cells"))])
def test_cells_that_are_too_small_are_refused(text, monkeypatch):
    monkeypatch.setattr(cell_areas, "MOST_CUTS", 1000)
    measured, vertices = laid([[(9.0, 48.0), (9.1, 48.1)]])
    with pytest.raises(InputError, match="too small"):
        cell_areas.of(text).cut(measured, vertices)
