import html
import json
import re

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from conftest import STUTTGART
from helpers import chromium
from shapely import Point

import mlygeo
from mlygeo import cli, frames, plotting, providers
from mlygeo.errors import FormatError, FrameError, InputError
from mlygeo.plotting import layers, page, style
from mlygeo.spatial import geodesy

HOSTILE = "</script><script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'>\u2028 &amp; \"quoted\""


@pytest.fixture(scope="module")
def browser():
    started = chromium.Browser()
    yield started
    started.close()


@pytest.fixture
def selection(images, edges):
    points = mlygeo.street_points(edges, interval=50, srid=25832)
    return edges, points, mlygeo.select_nearest(points, images, srid=25832)


def show(browser, tmp_path, layers, **options):
    path = plotting.explore(layers, **options).save(tmp_path / "a map.html")
    browser.open(path.as_uri())
    return path


def at(browser, lon, lat):
    """Where a position is on the screen."""
    x, y = (float(value[0]) for value in page.world(np.array([lon]), np.array([lat])))
    state = json.loads(browser.ask("JSON.stringify([mlygeo.state, innerWidth, innerHeight])"))
    unit = 256 * 2 ** state[0]["zoom"] / 2**32
    return state[1] / 2 + (x - state[0]["x"]) * unit, state[2] / 2 + (y - state[0]["y"]) * unit


def look_at(browser, lon, lat, zoom=19):
    x, y = (float(value[0]) for value in page.world(np.array([lon]), np.array([lat])))
    browser.ask(f"mlygeo.moveTo({x}, {y}, {zoom})")
    browser.next_frame()


def middle(picture, half):
    """The square in the middle of a picture."""
    y, x = picture.shape[0] // 2, picture.shape[1] // 2
    return picture[y - half : y + half, x - half : x + half]


def share_of(picture, colour):
    """How much of a picture has about this colour."""
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return (np.abs(picture.astype(int) - wanted).max(axis=2) < 8).mean()


def test_a_selection_is_drawn_offline(browser, tmp_path, selection):
    show(browser, tmp_path, selection, title="Stuttgart")
    picture = browser.screenshot()
    for colour in (style.GREY, style.BLUE, style.VERMILION, style.BLACK):
        assert share_of(picture[:, :700], colour) > 1e-4, colour
    assert browser.problems() == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in browser.requests())
    assert not re.search(r"(?:src|href)=.https?:|@import|url\(", (tmp_path / "a map.html").read_text())
    text = browser.ask("document.body.innerText")
    for words in ("Stuttgart", "selection (146)", "points (150)", "streets (190)", "image chosen for a point (146)"):
        assert words in text
    assert browser.ask("document.getElementById('attribution').textContent") == (
        f"{frames.OPENSTREETMAP}  ·  {frames.MAPILLARY}"
    )


def test_values_with_a_unit_are_shown_as_people_read_them(browser, tmp_path, images):
    first = images.iloc[[0]].assign(distance_m=58.49114, compass_angle=27.3336334, weight=27.3336334, id=2**55)
    show(browser, tmp_path, first)
    browser.click(*at(browser, first.geometry.iloc[0].x, first.geometry.iloc[0].y))
    rows = "[...document.querySelectorAll('#popup tr')].map(row => [...row.children].map(cell => cell.innerText))"
    shown = dict(browser.ask(rows))
    assert shown["distance"] == "58.49 m"
    assert shown["compass angle"] == "27.33°"
    assert shown["weight"] == "27.33363", "what it is in is not known, so seven digits are shown"
    lines = browser.ask("document.querySelector('#popup a').getClientRects().length")
    assert lines == 1, "an id stands in one line"


def test_a_click_shows_the_picture_the_date_and_the_way_to_mapillary(browser, tmp_path, images):
    from PIL import Image

    (tmp_path / "my pictures").mkdir()
    file = tmp_path / "my pictures" / "a #1?.jpg"
    Image.new("RGB", (64, 48), "#123456").save(file)
    first = images.iloc[[0]].assign(path=pd.Series([str(file)], dtype="str", index=images.index[:1]), id=2**62 + 1)
    show(browser, tmp_path, first)
    lon, lat = first.geometry.iloc[0].x, first.geometry.iloc[0].y
    browser.click(*at(browser, lon, lat))
    browser.ask(
        "new Promise(done => { const i = document.querySelector('#popup img'); i.complete ? done(1) : i.onload = done; })"
    )
    assert browser.ask("document.querySelector('#popup img').naturalWidth") == 64
    text = browser.ask("document.getElementById('popup').innerText")
    assert first["captured_at"].iloc[0].strftime("%Y-%m-%d %H:%M:%S") in text
    assert str(2**62 + 1) in text, "every digit of an id is shown"
    href = browser.ask("document.querySelector('#popup a').href")
    assert href == f"https://www.mapillary.com/app/?pKey={2**62 + 1}&focus=photo"
    assert share_of(browser.screenshot(), "#123456") > 1e-3
    assert "a #1?.jpg" in text
    assert str(tmp_path) not in text
    assert str(tmp_path) not in (tmp_path / "a map.html").read_text(encoding="utf-8"), "nobody's folders are passed on"
    browser.click(20, 600)
    assert browser.ask("document.getElementById('popup').hidden")
    assert browser.problems() == []


ETALAB = "https://www.etalab.gouv.fr/licence-ouverte-open-licence/"


class Anybody:
    """A provider with pages for people."""

    name, title, page, attribution = (
        "acme",
        "Acme's pictures",
        "https://acme.example.org/#pic={id}",
        "Acme, terms by mail",
    )


PROVIDER = Anybody()


@pytest.fixture
def of_all(images, monkeypatch):
    """Images of several providers, each in its place, and one of nobody knows whom."""
    monkeypatch.setitem(providers.PROVIDERS, "acme", __name__)
    return gpd.GeoDataFrame(
        {
            "id": [
                "498763468214164",
                "fc4bd9cd-e3d5-4218-81b3-0ae99d92635a",
                "0" * 8 + "-0000-4000-8000-" + "0" * 12,
                "17",
            ],
            "captured_at": images["captured_at"].head(4).astype("datetime64[us, UTC]"),
            "provider": ["mapillary", "acme", "elsewhere", None],
            "creator": [None, "Élise & Söhne", None, None],
            "instance": [None, "IGN", None, None],
            "licence": [None, "etalab-2.0", "[CC-BY-SA-4.0]", "mine"],
            "licence_url": [None, None, None, "javascript:alert(1)"],
        },
        geometry=[Point(9.17 + 0.002 * number, 48.77) for number in range(4)],
        crs=4326,
    )


def test_popups_and_the_foot_say_whose_each_image_is(browser, tmp_path, of_all):
    show(browser, tmp_path, of_all)
    assert browser.ask("document.getElementById('attribution').textContent") == (
        f"Élise & Söhne via acme (IGN), etalab-2.0 {ETALAB} (25%)  ·  elsewhere, [CC-BY-SA-4.0] (25%)  ·  "
        f"{frames.MAPILLARY} (25%)  ·  mine javascript:alert(1) (25%)"
    )
    assert browser.ask("[...document.querySelectorAll('#attribution a')].map(a => a.href)") == [ETALAB]
    expected = [
        ["https://www.mapillary.com/app/?pKey=498763468214164&focus=photo"],
        ["https://acme.example.org/#pic=fc4bd9cd-e3d5-4218-81b3-0ae99d92635a", ETALAB],
        [],
        [],
    ]
    for row, links in zip(of_all.itertuples(), expected, strict=True):
        browser.click(*at(browser, row.geometry.x, row.geometry.y))
        assert browser.ask("[...document.querySelectorAll('#popup a')].map(a => a.href)") == links
        text = browser.ask("document.getElementById('popup').innerText")
        for name in ("id", "provider", "creator", "instance", "licence"):
            value = getattr(row, name)
            assert (str(value) in text) if isinstance(value, str) else (f"{name}\t" not in text)
    assert browser.problems() == []


def test_an_id_that_is_text_leads_nowhere_without_a_provider(browser, tmp_path, of_all):
    own = of_all[["id", "captured_at", "geometry"]]
    show(browser, tmp_path, own)
    browser.click(*at(browser, own.geometry.iloc[1].x, own.geometry.iloc[1].y))
    assert own["id"].iloc[1] in browser.ask("document.getElementById('popup').innerText")
    assert browser.ask("document.querySelectorAll('#popup a').length") == 0
    assert browser.ask("document.getElementById('attribution').textContent") == ""


def test_uuids_are_small_and_whole(browser, tmp_path):
    import uuid

    ids = [str(uuid.UUID(int=number * 7919 + 1, version=4)) for number in range(3000)]
    frame = gpd.GeoDataFrame(
        {"id": [*ids, None], "provider": "acme"},
        geometry=gpd.points_from_xy(np.linspace(9, 9.3, 3001), [48.7] * 3001),
        crs=4326,
    )
    show(browser, tmp_path, frame)
    meta = json.loads(browser.ask("document.getElementById('meta').textContent"))
    assert [field["kind"] for field in meta["layers"][0]["columns"]] == ["uuid", "text"]
    look_at(browser, frame.geometry.iloc[1234].x, 48.7)
    browser.click(*at(browser, frame.geometry.iloc[1234].x, 48.7))
    assert ids[1234] in browser.ask("document.getElementById('popup').innerText")


def test_a_click_on_a_street_tells_its_name(browser, tmp_path, edges):
    show(browser, tmp_path, edges)
    line = edges.geometry.iloc[5]
    middle = line.interpolate(0.5, normalized=True)
    look_at(browser, middle.x, middle.y)
    browser.click(*at(browser, middle.x, middle.y))
    text = browser.ask("document.getElementById('popup').innerText")
    assert edges["highway"].iloc[5] in text
    assert str(edges["u"].iloc[5]) in text


def test_hostile_text_stays_text(browser, tmp_path, images):
    one = images.iloc[[0]].assign(
        creator_username=pd.Series([HOSTILE], dtype="str", index=images.index[:1]),
        sequence_id=pd.Series(["<b>bold</b>"], dtype="str", index=images.index[:1]),
        path=pd.Series(["javascript:window.pwned=3//.jpg"], dtype="str", index=images.index[:1]),
    )
    one = one.rename(columns={"organization_id": HOSTILE})
    one[HOSTILE] = 1
    one.attrs["attribution"] = [HOSTILE]
    path = show(browser, tmp_path, one, title=HOSTILE)
    browser.click(*at(browser, one.geometry.iloc[0].x, one.geometry.iloc[0].y))
    browser.ask("new Promise(done => setTimeout(done, 200))")
    assert browser.ask("typeof window.pwned") == "undefined"
    assert browser.ask("document.querySelectorAll('script').length") == 2
    assert browser.ask("document.querySelectorAll('b').length") == 0
    assert browser.ask("document.querySelector('#panel h1').textContent") == HOSTILE
    assert browser.ask("document.getElementById('attribution').textContent").startswith(HOSTILE)
    cells = json.loads(
        browser.ask("JSON.stringify([...document.querySelectorAll('#popup td, #popup th')].map(c => c.textContent))")
    )
    assert {HOSTILE, "<b>bold</b>"} <= set(cells)
    assert "javascript:" not in re.sub(r"<script id=.meta.*?</script>", "", path.read_text(), flags=re.DOTALL)
    browser.ask("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.pwned = 4\">')")
    browser.ask("new Promise(done => setTimeout(done, 200))")
    assert browser.ask("typeof window.pwned") == "undefined", "the page's policy lets no other script run"


def test_dragging_wheel_and_keys_move_the_map(browser, tmp_path, images):
    show(browser, tmp_path, images)
    lon, lat = images.geometry.iloc[0].x, images.geometry.iloc[0].y
    before, where = browser.screenshot(), at(browser, lon, lat)
    browser.drag((500, 350), (600, 300))
    after = at(browser, lon, lat)
    assert (after[0] - where[0], after[1] - where[1]) == pytest.approx((100, -50), abs=0.01)
    assert (browser.screenshot() != before).any()
    cursor = round(after[0]), round(after[1])
    browser.mouse("mouseWheel", *cursor, deltaX=0, deltaY=-400)
    browser.next_frame()
    assert browser.ask("mlygeo.state.zoom") > 14
    assert at(browser, lon, lat) == pytest.approx(after, abs=1), "what is under the cursor stays there"
    zoom = browser.ask("mlygeo.state.zoom")
    browser.ask("document.getElementById('map').focus()")
    for key in ("+", "ArrowLeft"):
        browser.send("Input.dispatchKeyEvent", type="keyDown", key=key)
    browser.next_frame()
    assert browser.ask("mlygeo.state.zoom") == pytest.approx(zoom + 1)
    browser.ask("document.activeElement.blur(); document.getElementById('all').click()")
    browser.next_frame()
    assert (browser.screenshot() == before).mean() > 0.999


def test_a_layer_can_be_hidden(browser, tmp_path, edges, images):
    show(browser, tmp_path, [edges, images])
    assert share_of(browser.screenshot()[:, :700], style.VERMILION) > 1e-4
    browser.ask("document.querySelector('#panel input').click()")
    assert share_of(browser.screenshot()[:, :700], style.VERMILION) == 0
    assert share_of(browser.screenshot()[:, :700], style.GREY) > 1e-4


def test_positions_and_headings_are_right(browser, tmp_path):
    """Each image alone on the screen: where it is, and which way its arrow points."""
    places = [(9.17, 48.77, 90.0), (-179.9998, -16.5, 0.0), (179.9998, -16.5, 225.0), (151.2, -33.87, 180.0)]
    lon, lat, heading = (np.array(values) for values in zip(*places, strict=True))
    images = gpd.GeoDataFrame(
        {"id": np.arange(4), "compass_angle": heading}, geometry=gpd.points_from_xy(lon, lat), crs=4326
    )
    show(browser, tmp_path, images)
    for x, y, angle in places:
        look_at(browser, x, y, zoom=20)
        picture = middle(browser.screenshot(), 100).astype(int)
        dot = (np.abs(picture - [0xD5, 0x5E, 0x00]).max(axis=2) < 12).nonzero()
        assert np.mean(dot, axis=1) == pytest.approx([99.5, 99.5], abs=1.5)
        dark = (picture.sum(axis=2) < 520).nonzero()
        turned = np.degrees(np.arctan2(np.mean(dark[1]) - 99.5, 99.5 - np.mean(dark[0]))) % 360
        assert abs((turned - angle + 180) % 360 - 180) < 8


def test_both_sides_of_the_antimeridian_are_neighbours(browser, tmp_path):
    line = gpd.GeoDataFrame({"u": [1]}, geometry=[shapely.LineString([(179.999, -16.5), (-179.999, -16.5)])], crs=4326)
    show(browser, tmp_path, line)
    assert browser.ask("mlygeo.state.zoom") > 15
    row = middle(browser.screenshot(), 10)
    assert share_of(row, style.GREY) > 0.05


def test_the_scale_bar_is_true_to_latitude(browser, tmp_path, images):
    for move in (0.0, 15.0):
        moved = images.set_geometry(gpd.points_from_xy(images.geometry.x, images.geometry.y + move, crs=4326))
        show(browser, tmp_path, moved)
        metres, wide = json.loads(browser.ask(
            "JSON.stringify([+document.getElementById('scale').dataset.metres,"
            " parseFloat(document.getElementById('scale').lastChild.style.width)])"
        ))  # fmt: skip
        lat, lon = moved.geometry.y.mean(), moved.geometry.x.mean()
        degrees = wide * 360 / (256 * 2 ** browser.ask("mlygeo.state.zoom"))
        assert float(geodesy.distance(lon, lat, lon + degrees, lat)[0]) == pytest.approx(metres, rel=0.005)


def test_a_notebook_shows_it_in_a_frame(browser, tmp_path, images):
    shown = plotting.explore(images.iloc[:50])._repr_html_()
    assert 'sandbox="allow-scripts allow-popups"' in shown
    assert "<script" not in shown, "the page is an attribute, escaped"
    assert html.unescape(shown.split('srcdoc="')[1].split('"')[0]).startswith("<!DOCTYPE html>")
    (tmp_path / "notebook.html").write_text(f"<!DOCTYPE html><body>{shown}</body>", encoding="utf-8")
    browser.send("Page.navigate", url=(tmp_path / "notebook.html").as_uri())
    for _ in range(50):
        browser.ask("new Promise(done => setTimeout(done, 100))")
        if share_of(browser.screenshot(), style.VERMILION) > 1e-4:
            break
    else:
        pytest.fail("nothing was drawn in the frame")


def test_pictures_are_embedded_in_a_notebook_up_to_a_limit(tmp_path, images, monkeypatch):
    for name in "abc":
        (tmp_path / f"{name}.jpg").write_bytes(name.encode() * 1000)
    paths = pd.Series([str(tmp_path / f"{name}.jpg") for name in "abc"] + [str(tmp_path / "missing.jpg")], dtype="str")
    four = images.iloc[:4].reset_index(drop=True).assign(path=paths)
    monkeypatch.setattr(page, "EMBEDDED_BYTES", 2500)
    assert html.unescape(plotting.explore(four)._repr_html_()).count("data:image/jpeg;base64") == 2


@pytest.mark.parametrize(
    "kind", ["streets", "points", "images", "selection", "tracks", "sequences", "coverage", "gaps", "areas"]
)
def test_every_frame_is_drawn(browser, tmp_path, kind, every_frame):
    show(browser, tmp_path, every_frame[kind])
    background = np.array([0xF6, 0xF7, 0xF8])
    picture = browser.screenshot()[60:600, 60:650]
    assert (np.abs(picture.astype(int) - background).max(axis=2) > 60).mean() > 2e-4
    assert browser.problems() == []


def test_areas_have_the_colours_of_a_column(browser, tmp_path):
    boxes = [shapely.box(9 + 0.01 * number, 48, 9.008 + 0.01 * number, 48.008) for number in range(5)]
    cells = gpd.GeoDataFrame({"share": [0.0, 0.2, 0.5, 0.5, np.nan]}, geometry=boxes, crs=4326)
    paint = style.paint(layers.layers_of(cells)[0], "share")
    used = [paint.colours[number] for number in paint.index[:4]]
    drawn = {}
    for colour in ("share", None):
        show(browser, tmp_path, cells, colour=colour)
        picture = browser.screenshot()[60:600, 60:650]
        drawn[colour] = [share_of(picture, each) for each in used]
    assert min(drawn["share"]) > 1e-3
    assert max(drawn[None]) < 1e-4


def test_many_points_open_and_pan(browser, tmp_path):
    random = np.random.default_rng(1)
    count = 200_001
    images = gpd.GeoDataFrame(
        {"id": np.arange(count) + 10**15, "compass_angle": random.uniform(0, 360, count)},
        geometry=gpd.points_from_xy(random.normal(9, 0.1, count), random.normal(48, 0.1, count), crs=4326),
    )  # fmt: skip
    path = show(browser, tmp_path, images)
    assert path.stat().st_size < 20 * count
    before = browser.screenshot()
    browser.drag((500, 350), (300, 350))
    browser.ask("new Promise(done => setTimeout(done, 400))")
    moved = browser.screenshot()
    same = (before[100:600, 300:700] == moved[100:600, 100:500]).mean()
    assert same > 0.9, "the picture moved along with the mouse, and is whole again once it rests"
    shown = []
    for rest in (1_000_000, 1):
        browser.ask(
            f"mlygeo.state.bears = 30000; mlygeo.state.rest = {rest}; mlygeo.moveTo(mlygeo.state.x + 1, mlygeo.state.y, mlygeo.state.zoom)"
        )
        browser.ask("new Promise(done => setTimeout(done, 400))")
        shown.append(browser.screenshot())
    drawn = [share_of(one[:, :700], style.VERMILION) for one in shown]
    assert 0 < drawn[0] < drawn[1], "where that is slow, only a part is drawn while it moves"


def test_the_verb_writes_a_map_or_a_picture(capsys, tmp_path, selection):
    files = [
        mlygeo.write_frame(frame, tmp_path / f"{name}.parquet") for name, frame in zip("abc", selection, strict=True)
    ]
    for ending, start in ((".html", b"<!DOCTYPE html>"), (".png", b"\x89PNG"), (".pdf", b"%PDF")):
        status = cli.main(["map", *map(str, files), "--title", "T", "-o", str(tmp_path / f"map{ending}")])
        assert status == 0, capsys.readouterr().err
        assert (tmp_path / f"map{ending}").read_bytes().startswith(start)
    for option, ending in (
        ("--thumbnails=none", "png"),
        (f"--inset={files[0]}", "html"),
        ("--basemap=https://a/{z}/{x}/{y}", "png"),
    ):
        target = tmp_path / f"x.{ending}"
        assert cli.main(["map", str(files[0]), option, "-o", str(target)]) == 2
        assert option.split("=")[0] in capsys.readouterr().err
        assert not target.exists()


def test_a_base_map_is_asked_for_by_name_only(tmp_path, images):
    address = "https://tiles.example.org/{z}/{x}/{y}.png"
    text = plotting.explore(images, basemap=address, basemap_attribution="Acme").html()
    assert "img-src data: blob: file: &#x27;self&#x27; https://tiles.example.org;" in text
    assert "base map: Acme" in text
    assert "https://tiles.example.org" not in plotting.explore(images).html()
    for wrong in ("http://a/{z}/{x}/{y}", "https://a/b.png", "https://a/{z}/{x}/{y}' onload='", "javascript:{z}{x}{y}"):
        with pytest.raises(InputError, match="neither an address of map tiles"):
            plotting.explore(images, basemap=wrong, basemap_attribution="Acme")
    with pytest.raises(FormatError, match="written as"):
        plotting.explore(images).save(tmp_path / "map.png")
    with pytest.raises(FrameError, match="nothing to draw"):
        plotting.explore([images.iloc[:0]])


def sized(browser, wide, high):
    browser.send("Emulation.setDeviceMetricsOverride", width=wide, height=high, deviceScaleFactor=1, mobile=False)


def box_of(browser, name):
    return json.loads(browser.ask(f"JSON.stringify(document.getElementById('{name}').getBoundingClientRect())"))


def overlap(first, second):
    return (
        first["left"] < second["right"] and second["left"] < first["right"]
        and first["top"] < second["bottom"] and second["top"] < first["bottom"]
    )  # fmt: skip


def test_on_a_phone_the_map_is_seen(browser, tmp_path, selection):
    wide, high = 360, 640
    named = [frame.assign() for frame in selection]
    for frame, more in zip(named, selection, strict=True):
        frame.attrs = {
            **more.attrs,
            "attribution": ["A provider with a name that is long, CC BY-SA 4.0", *more.attrs.get("attribution", [])],
        }
    try:
        sized(browser, wide, high)
        show(browser, tmp_path, named, title="A selection with a title that is long")
        legend = box_of(browser, "panel")
        assert legend["height"] < 60, "the legend is folded"
        for name in ("scale", "buttons", "panel"):
            others = {"scale", "buttons", "panel", "attribution"} - {name}
            assert not any(overlap(box_of(browser, name), box_of(browser, other)) for other in others), name
        for name in ("scale", "attribution", "panel"):
            box = box_of(browser, name)
            assert 0 <= box["left"] <= box["right"] <= wide
            assert 0 <= box["top"] <= box["bottom"] <= high
        browser.click(legend["left"] + 20, legend["top"] + 15)
        opened = box_of(browser, "panel")
        assert legend["height"] < opened["height"] <= 0.45 * high + 1
        assert not overlap(opened, box_of(browser, "buttons"))
        assert not overlap(opened, box_of(browser, "scale"))
        assert "selection (146)" in browser.ask("document.body.innerText")
        sized(browser, 1000, 700)
        browser.next_frame()
        assert browser.ask("document.getElementById('panel').open"), "on a wide screen it is open"
        assert browser.problems() == []
    finally:
        browser.send("Emulation.clearDeviceMetricsOverride")


def test_resizing_and_keys_before_the_first_picture_are_no_error(browser, tmp_path, images):
    early = """
        Object.defineProperty(window, 'DecompressionStream', {value: class {
          constructor(...words) { window.dispatchEvent(new Event('resize'));
            document.getElementById('in')?.click(); document.getElementById('all')?.click();
            return new window.RealStream(...words); } }});"""
    path = plotting.explore(images).save(tmp_path / "map.html")
    script = browser.send(
        "Page.addScriptToEvaluateOnNewDocument", source=f"window.RealStream = DecompressionStream; {early}"
    )["identifier"]
    try:
        browser.open(path.as_uri())
        browser.next_frame()
        assert browser.problems() == []
    finally:
        browser.send("Page.removeScriptToEvaluateOnNewDocument", identifier=script)


def test_the_bundled_data_is_shown_whole(tmp_path):
    path = mlygeo.explore(STUTTGART / "stuttgart_osm_edges.gpkg").save(tmp_path / "x.html")
    assert "stuttgart osm edges" in path.read_text(encoding="utf-8")


def views_of(images, tmp_path, **options):
    """Two views of each image, with their pictures."""
    from helpers.panoramas import write_pictures

    planned = mlygeo.plan_views(images, relative_to="north", directions=["45", "200"], fov=70, **options)
    (tmp_path / "views").mkdir()
    (small,) = write_pictures(images.iloc[:1], tmp_path / "small").glob("*.jpg")
    for path in planned["path"]:
        (tmp_path / "views" / path).write_bytes(small.read_bytes())
    return planned


def test_views_are_sectors_that_show_their_picture(browser, tmp_path):
    from helpers.panoramas import images_of

    planned = views_of(images_of(3), tmp_path)
    file = mlygeo.write_frame(planned, tmp_path / "views" / "views.parquet")
    show(browser, tmp_path, file)
    view = planned.iloc[2]
    look_at(browser, view.geometry.x, view.geometry.y, zoom=20)
    for turn in (-35.0, 35.0):  # the sides of the sector
        lon, lat = geodesy.destination(view.geometry.x, view.geometry.y, view["compass_angle"] + turn, 4.0)
        browser.click(*at(browser, float(lon[0]), float(lat[0])))
        text = browser.ask("document.getElementById('popup').innerText")
        for words in (view["path"], "45", "70°", "pitch"):
            assert words in text
        assert browser.ask("document.querySelector('#popup img').src").endswith(f"/views/{view['path']}")
    assert share_of(browser.screenshot(), style.VERMILION) > 1e-4
    assert browser.problems() == []
    assert str(tmp_path) not in (tmp_path / "a map.html").read_text(encoding="utf-8")


def test_scores_of_views_are_colours_with_a_legend(browser, tmp_path):
    from helpers.panoramas import images_of

    planned = views_of(images_of(10), tmp_path).assign(score=np.linspace(0, 1, 20))
    show(browser, tmp_path, planned, colour="score")
    text = browser.ask("document.getElementById('panel').innerText")
    assert "0.00 to 0.20" in text.replace("0.01 to 0.21", "0.00 to 0.20")
    assert sum(share_of(browser.screenshot(), colour) > 1e-5 for colour in style.SCALE) >= 4


def test_a_sector_is_what_a_view_looks_over():
    lon, lat = np.array([9.0, 179.9999, 0.0]), np.array([48.0, 10.0, 80.0])
    heading, angle = np.array([350.0, 90.0, 0.0]), np.array([60.0, 120.0, 360.0])
    found = layers.sectors(lon, lat, heading, angle, 50.0)
    for row, area in enumerate(found):
        apex_there = angle[row] < 360
        ring = shapely.get_coordinates(area)
        assert (tuple(ring[0]) == (lon[row], lat[row])) == apex_there
        far = ring[1:-1] if apex_there else ring
        away = geodesy.distance(lon[row], lat[row], far[:, 0], far[:, 1])
        np.testing.assert_allclose(away, 50.0, atol=1e-6)
        turned = geodesy.bearing(lon[row], lat[row], far[:, 0], far[:, 1])
        off = (turned - heading[row] + 180) % 360 - 180
        assert np.abs(off).max() == pytest.approx(min(angle[row] / 2, 180), abs=1e-6)
        assert np.ptp(ring[:, 0]) < 1, "no edge goes round the earth"


def test_views_that_look_nowhere_are_counted(tmp_path):
    from helpers.panoramas import images_of

    planned = views_of(images_of(2), tmp_path)
    planned["compass_angle"] = planned["compass_angle"].mask(planned.index == 1)
    (layer,) = layers.layers_of(planned)
    assert (layer.kind, layer.rows, layer.left_out) == ("views", 3, {layers.NOWHERE: 1})
    assert layer.notes() == ["views: 1 left out, without a heading or a field of view"]
