import itertools

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from helpers.work import at_most

import mlygeo
from mlygeo import frames, plotting
from mlygeo.errors import FrameError
from mlygeo.plotting import layers, picture, style
from mlygeo.spatial import geodesy

mpl = pytest.importorskip("matplotlib", reason="pictures need mlygeo[plot]")

KINDS = ["streets", "points", "images", "selection", "tracks", "sequences", "coverage", "gaps", "areas"]


def pixels(figure):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)


def rgb(colour):
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def linear(values):
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(first, second="#ffffff"):
    """The contrast of WCAG 2.2, 1 to 21."""
    light, dark = sorted((float(linear(rgb(c)) @ [0.2126, 0.7152, 0.0722]) for c in (first, second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


# Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB.
BLIND = {
    "none": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}  # fmt: skip


def lab(colour, sight):
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    seen = xyz @ np.clip(BLIND[sight] @ linear(rgb(colour)), 0, 1) / [0.9505, 1.0, 1.089]
    f = np.where(seen > (6 / 29) ** 3, np.cbrt(seen), seen * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", BLIND)
def test_colours_are_distinguishable_for_everyone(sight):
    for palette in (style.CATEGORIES, style.SCALE, (style.BLUE, style.GREEN, style.VERMILION)):
        for first, second in itertools.combinations(palette, 2):
            apart = np.linalg.norm(lab(first, sight) - lab(second, sight))
            assert apart > 10, (first, second, apart)


def test_the_scale_runs_from_dark_to_light_however_it_is_seen():
    for sight in BLIND:
        lightness = [lab(colour, sight)[0] for colour in style.SCALE]
        assert (np.diff(lightness) > 5).all(), sight


def test_everything_stands_out_from_the_background():
    drawn = {*style.CATEGORIES, *style.SCALE, *style.KINDS.values()} - {style.PALE}
    for colour in drawn:
        assert contrast(colour) >= 3, colour
        assert contrast(colour, "#f6f7f8") >= 2.9, colour
    assert contrast(style.BLACK) >= 7


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_draws_itself(every_frame, kind):
    figure = plotting.draw(every_frame[kind], title=kind)
    seen = pixels(figure)
    assert (np.abs(seen - 255).max(axis=2) > 60).mean() > 0.005
    axes = figure.axes[0]
    bounds = every_frame[kind].total_bounds
    assert axes.get_xlim()[0] <= bounds[0] <= bounds[2] <= axes.get_xlim()[1]
    assert axes.get_ylim()[0] <= bounds[1] <= bounds[3] <= axes.get_ylim()[1]


@pytest.mark.parametrize("kind", KINDS)
def test_text_is_read_at_half_the_size(every_frame, kind):
    from matplotlib.text import Text

    figure = plotting.draw(every_frame[kind], title=kind)
    pixels(figure)
    texts = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
    assert len(texts) > 6
    for text in texts:
        height = text.get_fontsize() * figure.dpi / 72 / 2
        assert height >= 10, (text.get_text(), height)
        assert contrast(mpl.colors.to_hex(text.get_color())) >= 4.5, text.get_text()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_cut_off_or_covered(every_frame, kind):
    from matplotlib.text import Text

    figure = plotting.draw(every_frame[kind], title=f"A frame of {kind} with a title that has some words")
    pixels(figure)
    box = figure.bbox
    for text in figure.findobj(Text):
        if text.get_text().strip() and text.get_visible() and not text.get_text().endswith("°"):
            around = text.get_window_extent()
            assert around.x0 >= box.x0 - 1, text.get_text()
            assert around.x1 <= box.x1 + 1, text.get_text()
            assert around.y0 >= box.y0 - 1, text.get_text()
            assert around.y1 <= box.y1 + 1, text.get_text()
    # Labels of the axes: those that are drawn, not those beyond the edge.
    drawn = figure.axes[0].get_tightbbox()
    assert box.x0 - 1 <= drawn.x0 <= drawn.x1 <= box.x1 + 1
    assert box.y0 - 1 <= drawn.y0 <= drawn.y1 <= box.y1 + 1
    attribution = next(text for text in figure.findobj(Text) if text.get_gid() == "attribution")
    legend = figure.axes[0].get_legend()
    assert not legend.get_window_extent().overlaps(attribution.get_window_extent())


def attribution_of(figure):
    from matplotlib.text import Text

    return next(text for text in figure.findobj(Text) if text.get_gid() == "attribution").get_text()


def test_the_attribution_is_on_every_picture(every_frame, images):
    assert attribution_of(plotting.draw(every_frame["coverage"])) == f"{frames.MAPILLARY}  ·  {frames.OPENSTREETMAP}"
    assert attribution_of(plotting.draw([every_frame["streets"], images])) == (
        f"{frames.OPENSTREETMAP}  ·  {frames.MAPILLARY}"
    )
    bare = images.copy()
    bare.attrs = {}
    assert attribution_of(plotting.draw(bare)) == "", "whose images they are is not known"
    noted = bare.copy()
    noted.attrs["attribution"] = ["Somebody else"]
    assert "Somebody else" in attribution_of(plotting.draw(noted))


@pytest.mark.parametrize("lat", [0.0, 48.77, 69.6, -54.8])
@pytest.mark.parametrize("size", [0.0005, 0.01, 2.0])
def test_the_scale_bar_is_true_to_latitude(lat, size):
    points = gpd.GeoDataFrame(geometry=gpd.points_from_xy([10, 10 + size], [lat, lat + size], crs=4326))
    figure = plotting.draw(points)
    pixels(figure)
    axes = figure.axes[0]
    bar = next(line for line in axes.lines if line.get_gid() == "scale bar")
    text = next(text.get_text() for text in axes.texts if text.get_gid() == "scale bar text")
    number, unit = text.split()
    metres = float(number) * {"km": 1000, "m": 1}[unit]
    x, y = bar.get_data()
    assert float(geodesy.distance(x[1], y[1], x[2], y[2])[0]) == pytest.approx(metres, rel=1e-6)
    west, east = axes.get_xlim()
    assert 0.09 < (x[2] - x[1]) / (east - west) <= 0.26
    # A metre is as long to the north as to the east.
    lat += size / 2
    low, high = axes.transData.transform([(10, lat), (10, lat + 1e-4)])
    left, right = axes.transData.transform([(10, lat), (10 + 1e-4, lat)])
    up = (high - low)[1] / float(geodesy.distance(10, lat, 10, lat + 1e-4)[0])
    across = (right - left)[0] / float(geodesy.distance(10, lat, 10 + 1e-4, lat)[0])
    assert up == pytest.approx(across, rel=0.03)


def test_headings_point_the_right_way_and_are_thinned(images):
    figure = plotting.draw(images)
    arrows = next(artist for artist in figure.axes[0].collections if artist.get_gid() == "headings")
    assert 10 < len(arrows.U) < 120, "thinned"
    flat = images[~images["is_pano"]]
    by_place = flat["compass_angle"].groupby([flat.geometry.x, flat.geometry.y]).agg(list).to_dict()
    for (x, y), u, v in zip(arrows.get_offsets(), arrows.U, arrows.V, strict=True):
        assert min(abs(np.degrees(np.arctan2(u, v)) % 360 - angle % 360) for angle in by_place[x, y]) < 1e-6


def test_a_track_is_coloured_by_speed(every_frame):
    track = every_frame["tracks"]
    (layer,) = layers.layers_of(track)
    speed = layer.speed_ms()
    ordered = track.assign(speed=speed).sort_values(["track_id", "time"])
    for _, one in ordered.groupby("track_id"):
        lon, lat = frames.lonlat(one)
        seconds = one["time"].diff().dt.total_seconds().to_numpy()[1:]
        with np.errstate(divide="ignore", invalid="ignore"):
            expected = geodesy.distance(lon[:-1], lat[:-1], lon[1:], lat[1:]) / seconds
        good = seconds > 0
        assert np.allclose(one["speed"].to_numpy()[1:][good], expected[good])
    labels = [text.get_text() for text in plotting.draw(track).axes[0].get_legend().get_texts()]
    assert all("km/h" in label or "unknown" in label for label in labels)
    by_time = plotting.draw(track, colour="time").axes[0].get_legend().get_texts()
    assert by_time[0].get_text().startswith("2024")


def test_the_key_of_arrows_is_an_arrow(images):
    figure = plotting.draw(images)
    pixels(figure)
    legend = figure.axes[0].get_legend()
    names = [text.get_text() for text in legend.get_texts()]
    key = legend.legend_handles[names.index("camera looks")]
    outline = key.get_path().vertices
    heights = np.ptp(outline[np.abs(outline[:, 0] - outline[:, 0].min()) < 1e-6][:, 1]), np.ptp(outline[:, 1])
    assert 0 < heights[0] < heights[1] / 2, "a thin shaft and a wide head"


def test_covered_and_uncovered(every_frame):
    alone = plotting.draw(every_frame["coverage"])
    labels = [text.get_text() for text in alone.axes[0].get_legend().get_texts()]
    share = every_frame["coverage"]["share_covered"]
    assert labels[0] == f"covered ({(share >= 0.9995).sum()})"
    both = plotting.draw([every_frame["coverage"], every_frame["gaps"]])
    labels = [text.get_text() for text in both.axes[0].get_legend().get_texts()]
    assert labels == ["covered", f"gaps ({len(every_frame['gaps'])})"]


def test_colours_by_a_column(images):
    by_year = style.paint(layers.layers_of(images)[0], "captured_at")
    assert by_year.labels == ("2024",)
    years = pd.to_datetime([f"{2010 + i % 12}-06-01" for i in range(len(images))], utc=True).as_unit("ms")
    found = style.paint(layers.layers_of(images.assign(captured_at=years))[0], "captured_at")
    assert found.labels[0] == "2010 to 2012"
    for label, year in zip(np.array(found.labels)[found.index], years.year, strict=True):
        first, _, last = label.partition(" to ")
        assert int(first) <= year <= int(last or first)
    kinds = style.paint(layers.layers_of(images)[0], "sequence_id")
    assert set(kinds.labels) == set(images["sequence_id"])
    many = images.assign(sequence_id=pd.Series(np.arange(len(images)) % 40).astype("str"))
    assert style.paint(layers.layers_of(many)[0], "sequence_id").labels[-1] == "others"
    gone = images.assign(compass_angle=np.nan)
    assert style.paint(layers.layers_of(gone)[0], "compass_angle").labels == ("unknown",)


def test_chosen_images_are_joined_to_their_points(every_frame):
    figure = plotting.draw([every_frame["points"], every_frame["selection"]])
    links = next(artist for artist in figure.axes[0].collections if artist.get_label() == "image chosen for a point")
    lengths = [geodesy.distance(*path.vertices[0], *path.vertices[1])[0] for path in links.get_paths()]
    assert lengths == pytest.approx(every_frame["selection"]["distance_m"].tolist(), rel=0.01)


def test_a_million_images_take_no_step_each():
    random = np.random.default_rng(1)
    count = 1_000_000
    images = gpd.GeoDataFrame(
        {"id": np.arange(count)},
        geometry=frames.points(random.normal(9, 0.1, count), random.normal(48, 0.1, count)), crs=4326,
    )  # fmt: skip
    pixels(plotting.draw(images.iloc[:10]))  # with all that is imported for it
    with at_most(count // 2):
        figure = plotting.draw(images)
        seen = pixels(figure)
    counts = figure.axes[0].images[0].get_array()
    assert np.nansum(counts) == count, "every image is counted"
    assert np.nanmax(counts) < count / 1000, "where it is"
    assert (np.abs(seen - 255).max(axis=2) > 60).mean() > 0.1


def test_across_the_antimeridian():
    line = gpd.GeoDataFrame({"u": [1]}, geometry=[shapely.LineString([(179.99, -16.5), (-179.99, -16.5)])], crs=4326)
    figure = plotting.draw(line)
    pixels(figure)
    west, east = figure.axes[0].get_xlim()
    assert 179.9 < west < 180 < east < 180.1
    labels = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert any(label.startswith("-179") for label in labels)
    areas = gpd.GeoDataFrame(
        geometry=[shapely.MultiPolygon([shapely.box(179, -17, 180, -16), shapely.box(-180, -17, -179, -16)])], crs=4326
    )
    west, east = plotting.draw(areas).axes[0].get_xlim()
    assert 178 < west < 180 < east < 182


def test_nothing_to_draw(images):
    with pytest.raises(FrameError, match="nothing to draw"):
        plotting.draw([images.iloc[:0]])
    nowhere = images.iloc[:3].assign(geometry=gpd.GeoSeries([None] * 3, crs=4326))
    with pytest.raises(FrameError, match="nothing to draw"):
        mlygeo.plot(nowhere)
    one = pixels(mlygeo.plot(images.iloc[:1]))
    assert one.shape[2] == 3
    assert picture.SMALL >= 10


def test_areas_have_the_colours_of_a_column():
    boxes = [shapely.box(9 + 0.01 * number, 48, 9.01 + 0.01 * number, 48.01) for number in range(5)]
    cells = gpd.GeoDataFrame({"share": [0.0, 0.2, 0.5, 0.5, np.nan]}, geometry=boxes, crs=4326)
    figure = mlygeo.plot([cells], colour="share")
    assert figure.axes[0].get_legend().get_title().get_text() == "share"
    (legend,) = (each for axes in figure.axes if (each := axes.get_legend()) is not None)
    counts = [int(text.get_text().rpartition("(")[2][:-1]) for text in legend.get_texts()]
    assert sum(counts) == 5
    shown = {tuple(each) for each in pixels(figure).reshape(-1, 3)}
    colours = style.paint(layers.layers_of(cells)[0], "share").colours
    used = {tuple((rgb(colours[number]) * 255).round().astype(int)) for number in (0, len(colours) - 1)}
    assert used <= shown
    alone = mlygeo.plot([cells])
    assert not used <= {tuple(each) for each in pixels(alone).reshape(-1, 3)}


@pytest.fixture
def outline(images):
    """A polygon far larger than the images lie in."""
    west, south, east, north = images.total_bounds
    return gpd.GeoDataFrame(geometry=[shapely.box(west - 3, south - 2, east + 1, north + 2)], crs=4326)


def test_a_small_map_shows_where_the_large_one_lies(images, outline):
    figure = plotting.draw([images], inset=outline)
    plain = pixels(plotting.draw([images]))
    seen = pixels(figure)
    axes = figure.axes[0]
    small = next(child for child in axes.child_axes if child.get_gid() == "inset")
    extent = next(patch for patch in small.patches if patch.get_gid() == "extent")
    (west, south), (east, north) = extent.get_bbox().min, extent.get_bbox().max
    box = images.total_bounds
    assert west <= box[0] < box[2] <= east
    assert south <= box[1] < box[3] <= north
    assert small.get_xlim()[0] <= outline.total_bounds[0] < outline.total_bounds[2] <= small.get_xlim()[1]
    inside, around = small.get_window_extent(), axes.get_window_extent()
    assert around.x0 <= inside.x0 < inside.x1 <= around.x1
    assert around.y0 <= inside.y0 < inside.y1 <= around.y1
    assert max(inside.width, inside.height) < 0.45 * min(around.width, around.height)
    drawn = extent.get_window_extent()
    assert max(drawn.width, drawn.height) >= 3, "however small, it is seen"
    assert seen.shape == plain.shape
    assert (seen != plain).mean() > 0.002


@pytest.mark.parametrize("ending", ["svg", "pdf", "png", "eps"])
def test_a_picture_is_the_same_bytes_each_time(tmp_path, images, ending):
    import warnings

    for name in "ab":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            plotting.draw([images.iloc[:50]], title="Images").savefig(tmp_path / f"{name}.{ending}")
    first, second = ((tmp_path / f"{name}.{ending}").read_bytes() for name in "ab")
    if ending == "eps":  # its comment with the name of the file and the date is Matplotlib's own
        first, second = (
            b"\n".join(line for line in content.splitlines() if not line.startswith(b"%%"))
            for content in (first, second)
        )
    assert first == second


def test_text_of_vector_pictures_can_be_edited(tmp_path, images):
    figure = plotting.draw([images.iloc[:50]], title="Images of Stuttgart")
    figure.savefig(tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert ">Images of Stuttgart</text>" in text
    assert "<dc:date>" not in text
    figure.savefig(tmp_path / "a.pdf")
    content = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in content, "TrueType, not outlines of type 3"
    assert b"/Type3" not in content
    assert b"CreationDate" not in content


def test_what_the_reader_sets_wins(tmp_path, images):
    plotting.draw([images.iloc[:5]]).savefig(tmp_path / "a.svg", metadata={"Title": "Mine"})
    assert "<dc:title>Mine</dc:title>" in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_headings_are_arrows_in_the_legend_too(images):
    from matplotlib.patches import FancyArrow

    figure = plotting.draw([images])
    pixels(figure)
    legend = figure.axes[0].get_legend()
    assert "camera looks" in [text.get_text() for text in legend.get_texts()]
    assert legend.findobj(FancyArrow)
