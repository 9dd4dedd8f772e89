"""What stands round an interactive map: colours, time, pictures, picking, keys, the table, and small screens."""

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from helpers import chromium
from PIL import Image

from mlygeo import cli, plotting
from mlygeo.errors import InputError
from mlygeo.plotting import ground, page, style

TILE, THUMBNAIL = "#e0d8c0", "#123456"


@pytest.fixture(scope="module")
def browser():
    started = chromium.Browser()
    on_a_desk(started)
    yield started
    started.close()


def on_a_desk(browser):
    """So wide that the legend covers nothing."""
    browser.send("Emulation.setDeviceMetricsOverride", width=1700, height=800, deviceScaleFactor=1, mobile=False)


@pytest.fixture(scope="module")
def server():
    """Serves map tiles of one colour, but not those of row 0 at zoom 1, pictures, and text; notes what was asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if self.path.startswith("/none"):
                self.send_error(404)
                return
            kind = "text/plain" if self.path.startswith("/text") else "image/png"
            body = b"no picture"
            if kind == "image/png":
                held = io.BytesIO()
                colour = TILE if self.path.startswith("/tiles") else THUMBNAIL
                Image.new("RGB", (256, 256), colour).save(held, "png")
                body = held.getvalue()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    running.asked = asked
    running.at = f"http://127.0.0.1:{running.server_port}"
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def row_of_five():
    """Five images in a row from west to east, of the years 2020 to 2024, the last of unknown time."""
    times = pd.to_datetime(["2020-03-01", "2021-03-01", "2022-03-01", "2023-03-01", None], utc=True).as_unit("ms")
    return gpd.GeoDataFrame(
        {
            "id": np.arange(5) + 2**60,
            "captured_at": times,
            "compass_angle": [0.0, 90.0, 180.0, 270.0, np.nan],
            "is_pano": [False, False, False, False, True],
            "creator_id": pd.array([7, 7, 8, 9, 9], dtype="Int64"),
            "quality_score": [0.1, 0.3, 0.5, 0.7, 0.9],
        },
        geometry=gpd.points_from_xy(9.1 + 0.01 * np.arange(5), [48.7] * 5),
        crs=4326,
    )


def show(browser, tmp_path, layers, **options):
    made = plotting.explore(layers, **options)
    browser.open(made.save(tmp_path / "map.html").as_uri())
    return made


def at(browser, lon, lat):
    x, y = (float(value[0]) for value in page.world(np.array([lon]), np.array([lat])))
    state = json.loads(browser.ask("JSON.stringify([mlygeo.state, innerWidth, innerHeight])"))
    unit = 256 * 2 ** state[0]["zoom"] / 2**32
    return state[1] / 2 + (x - state[0]["x"]) * unit, state[2] / 2 + (y - state[0]["y"]) * unit


def colour_at(picture, x, y):
    return "#{:02x}{:02x}{:02x}".format(*picture[round(y), round(x)])


def dots(browser, frame):
    """The colour of the map where each image is."""
    picture = browser.screenshot()
    return [colour_at(picture, *at(browser, place.x, place.y)) for place in frame.geometry]


def wait(browser, milliseconds):
    browser.ask(f"new Promise(done => setTimeout(done, {milliseconds}))")


def set_to(browser, name, value):
    browser.ask(
        f"(e => {{ e.value = {json.dumps(value)}; e.dispatchEvent(new Event(e.tagName === 'SELECT' ? 'change' : 'input')); }})(document.getElementById('{name}'))"
    )
    browser.next_frame()


def press(browser, key, **more):
    browser.send("Input.dispatchKeyEvent", type="keyDown", key=key, **more)
    browser.send("Input.dispatchKeyEvent", type="keyUp", key=key, **more)
    browser.next_frame()


def test_the_reader_chooses_the_colours(browser, tmp_path, row_of_five):
    show(browser, tmp_path, row_of_five)
    assert browser.ask("[...document.querySelectorAll('#by option')].map(o => o.value)") == [
        "",
        "year",
        "creator",
        "score",
    ]
    assert dots(browser, row_of_five)[:4] == [style.VERMILION] * 4
    set_to(browser, "by", "year")
    legend = browser.ask("[...document.querySelectorAll('#panel li')].map(item => item.textContent)")
    assert legend == ["2020", "2021", "2022", "2023", "unknown"]
    assert dots(browser, row_of_five)[:4] == list(style.SCALE[:4])
    set_to(browser, "by", "creator")
    first, second, third, fourth, _ = dots(browser, row_of_five)
    assert first == second
    assert len({first, third, fourth}) == 3, "an id is not a number that could be more or less"
    set_to(browser, "by", "score")
    assert dots(browser, row_of_five)[0] == style.SCALE[0]
    set_to(browser, "by", "")
    assert dots(browser, row_of_five)[:4] == [style.VERMILION] * 4
    assert browser.problems() == []


def test_lines_are_coloured_too(browser, tmp_path, row_of_five):
    lines = row_of_five.iloc[:4].set_geometry(
        [place.buffer(0.002).boundary for place in row_of_five.geometry.iloc[:4]], crs=4326
    )
    lines["start"] = lines["captured_at"]
    show(browser, tmp_path, lines)
    set_to(browser, "by", "year")
    picture = browser.screenshot()
    for colour in style.SCALE[:3]:  # the fourth lies below the legend
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(picture[:, :1300].astype(int) - wanted).max(axis=2) < 8).sum() > 20


def test_the_slider_narrows_to_a_time(browser, tmp_path, row_of_five):
    show(browser, tmp_path, row_of_five)
    assert browser.ask("document.getElementById('span').textContent") == (
        "2020-03-01 to 2023-03-01: 5 of 5 shown; 1 of unknown time too"
    )
    steps = int(browser.ask("document.getElementById('to').max"))
    set_to(browser, "from", str(round(steps / 6)))
    set_to(browser, "to", str(round(steps * 5 / 6)))
    seen = [colour == style.VERMILION for colour in dots(browser, row_of_five)]
    assert seen == [False, True, True, False, False]
    wait(browser, 300)
    told = browser.ask("document.getElementById('span').textContent")
    assert told.endswith(": 2 of 5 shown; 1 of unknown time are hidden")
    assert browser.ask("document.getElementById('status').textContent") == told, "a screen reader tells it"
    assert browser.ask("document.getElementById('from').getAttribute('aria-valuetext')") == told[:10]
    hidden = row_of_five.geometry.iloc[0]
    browser.click(*at(browser, hidden.x, hidden.y))
    assert browser.ask("document.getElementById('popup').hidden"), "what is not shown is not found"
    set_to(browser, "to", "0")
    assert int(browser.ask("document.getElementById('to').value")) == round(steps / 6), (
        "one end does not pass the other"
    )


@pytest.mark.parametrize("seconds", [0, 3, 5000, 90_000])
def test_the_slider_has_steps_that_suit(browser, tmp_path, row_of_five, seconds):
    times = pd.to_datetime(np.linspace(1.6e9, 1.6e9 + seconds, 5).round(), unit="s", utc=True).as_unit("ms")
    show(browser, tmp_path, row_of_five.assign(captured_at=times))
    if not seconds:
        assert not browser.ask("Boolean(document.getElementById('time'))"), "there is nothing to choose"
        return
    assert 2 <= int(browser.ask("document.getElementById('to').max")) <= 4001
    set_to(browser, "from", browser.ask("document.getElementById('from').max"))
    wait(browser, 300)
    assert ": 1 of 5 shown" in browser.ask("document.getElementById('span').textContent")


def test_the_pointer_shows_the_picture(browser, tmp_path, row_of_five):
    Image.new("RGB", (64, 48), THUMBNAIL).save(tmp_path / "a.jpg")
    show(browser, tmp_path, row_of_five.assign(path=str(tmp_path / "a.jpg")))
    place = row_of_five.geometry.iloc[1]
    browser.mouse("mouseMoved", *at(browser, place.x, place.y))
    wait(browser, 300)
    assert browser.ask("document.querySelector('#hover img').naturalWidth") == 64
    assert str(2**60 + 1) in browser.ask("document.getElementById('hover').textContent")
    assert "2021-03-01" in browser.ask("document.getElementById('hover').textContent")
    browser.mouse("mouseMoved", 20, 600)
    wait(browser, 200)
    assert browser.ask("document.getElementById('hover').hidden")
    show(browser, tmp_path, row_of_five.assign(path=str(tmp_path / "a.jpg")), thumbnails="none")
    browser.click(*at(browser, place.x, place.y))
    assert browser.ask("document.querySelectorAll('#popup img').length") == 0


def test_addresses_of_pictures_are_asked_for_only_if_that_is_wanted(browser, tmp_path, row_of_five, server):
    web = row_of_five.assign(thumb_256_url="https://pictures.example.org/a.jpg?sig=1")
    assert "img-src data: blob: file: &#x27;self&#x27;;" in plotting.explore(web).html()
    text = plotting.explore(web, thumbnails="web").html()
    assert "img-src data: blob: file: &#x27;self&#x27; https://pictures.example.org;" in text
    for odd in ("javascript:alert(1)//a.jpg", "http://elsewhere.example.org/a.jpg", "https://a.example/x' onload='"):
        assert (
            "img-src data: blob: file: &#x27;self&#x27;;"
            in plotting.explore(web.assign(thumb_256_url=odd), thumbnails="web").html()
        )
    with pytest.raises(InputError, match="thumbnails"):
        plotting.explore(web, thumbnails="all")
    with pytest.raises(InputError, match="no effect: no layer has a column thumb_256_url"):
        plotting.explore(row_of_five, thumbnails="web")
    made = plotting.explore(web.assign(thumb_256_url=f"{server.at}/thumb.jpg"), thumbnails="web")
    browser.open(made.save(tmp_path / "map.html").as_uri())
    server.asked.clear()
    place = row_of_five.geometry.iloc[2]
    browser.click(*at(browser, place.x, place.y))
    browser.ask(
        "new Promise(done => { const i = document.querySelector('#popup img'); i.complete ? done(1) : (i.onload = i.onerror = done); })"
    )
    assert server.asked == ["/thumb.jpg"], "nothing is asked for before somebody wants to see it"


def test_a_box_picks_what_is_in_it(browser, tmp_path, row_of_five):
    made = show(browser, tmp_path, row_of_five)
    (left, y), (right, _) = (at(browser, lon, 48.7) for lon in (9.105, 9.125))
    for kind, x, up in (
        ("mousePressed", left, y - 40),
        ("mouseMoved", right, y + 20),
        ("mouseMoved", right, y + 40),
        ("mouseReleased", right, y + 40),
    ):
        browser.mouse(kind, x, up, button="left", buttons=1, clickCount=1, modifiers=8)
    browser.next_frame()
    assert browser.ask("document.querySelector('#picked p').textContent") == "2 picked"
    picture = browser.screenshot()
    x, y = at(browser, 9.11, 48.7)
    rim = picture[round(y) - 8 : round(y) + 9, round(x) - 8 : round(x) + 9]
    assert (rim.max(axis=2) < 30).sum() > 15, "what is picked has a black rim"
    browser.ask("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }")
    browser.ask("document.querySelector('#picked button').click()")
    wait(browser, 100)
    assert browser.ask("window.copied").split("\n") == [str(2**60 + 1), str(2**60 + 2)]
    rows = browser.ask(
        "new Promise(done => { document.getElementById('choose').click(); done(document.getElementById('choose').getAttribute('aria-pressed')); })"
    )
    assert rows == "true"
    browser.click(*at(browser, 9.1, 48.7))
    assert browser.ask("document.querySelector('#picked p').textContent") == "3 picked", "one by one, too"
    browser.click(*at(browser, 9.11, 48.7))
    assert browser.ask("document.querySelector('#picked p').textContent") == "2 picked", "a second time takes it out"
    browser.ask("[...document.querySelectorAll('#picked button')].at(-1).click()")
    assert browser.ask("document.getElementById('picked').hidden")
    assert [list(found["id"]) for found in made.rows([[0, [0, 2]], [5, [1]], [0, [99]]])] == [
        sorted(made.rows([[0, [0, 2]]])[0]["id"])
    ]


def test_all_of_it_works_by_keys(browser, tmp_path, row_of_five):
    show(browser, tmp_path, row_of_five)
    places = []
    for _ in range(12):
        press(browser, "Tab", code="Tab", windowsVirtualKeyCode=9)
        places.append(
            browser.ask("document.activeElement.id || document.activeElement.type || document.activeElement.tagName")
        )
    wanted = ["map", "by", "checkbox", "from", "to", "SUMMARY", "in", "out", "all", "choose"]
    assert [place for place in places if place in wanted][: len(wanted)] == wanted
    for name in ("map", "by", "in"):
        browser.ask("document.activeElement.blur()")
        before = browser.screenshot().astype(int)
        browser.ask(f"document.getElementById('{name}').focus({{focusVisible: true}})")
        assert (np.abs(browser.screenshot() - before).max(axis=2) > 60).sum() > 100, f"the focus on {name} is seen"
    x, y = (float(value[0]) for value in page.world(np.array([9.12]), np.array([48.7])))
    browser.ask(f"mlygeo.moveTo({x}, {y}, 18); document.getElementById('map').focus()")
    press(browser, "Enter")
    assert str(2**60 + 2) in browser.ask("document.getElementById('popup').textContent")
    assert str(2**60 + 2) in browser.ask("document.getElementById('status').textContent")
    assert browser.ask("document.activeElement.getAttribute('aria-label')") == "Close"
    press(browser, "Escape")
    assert browser.ask("document.getElementById('popup').hidden")
    assert browser.ask("document.activeElement.id") == "map", "the focus is where it was"
    press(browser, "Home")
    press(browser, "ArrowLeft")
    wait(browser, 900)
    assert "centre 48.7" in browser.ask("document.getElementById('status').textContent")
    assert browser.problems() == []


def test_a_screen_reader_finds_names_and_a_table(browser, tmp_path, row_of_five, edges):
    show(browser, tmp_path, [edges, row_of_five], title="Two layers")
    browser.ask("document.getElementById('layers').open = true")
    browser.send("Accessibility.enable")
    nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    browser.send("Accessibility.disable")
    found = [
        (node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node.get("ignored")
    ]
    for role, name in (
        ("application", "Map"), ("combobox", "Colour by"), ("slider", "Taken from"), ("slider", "Taken until"),
        ("checkbox", "images (5)"), ("checkbox", f"streets ({len(edges)})"), ("button", "Zoom in"), ("button", "Pick by drawing a box"),
        ("table", "Two layers: what the map shows"), ("rowheader", "Taken from"), ("rowheader", "images"), ("status", ""),
    ):  # fmt: skip
        assert any(role == one and name in said for one, said in found), (role, name)
    acting = {"button", "slider", "checkbox", "combobox", "link", "textbox"}
    assert all(name for role, name in found if role in acting)
    images, streets = browser.ask(
        "[...document.querySelectorAll('#layers tbody')].map(b => [...b.rows].map(r => r.innerText.split('\\t')))"
    )
    assert images[:5] == [
        ["images"], ["Rows", "5"], ["Drawn", "5"], ["Taken from", "2020-03-01 00:00"], ["Taken until", "2023-03-01 00:00"],
    ]  # fmt: skip
    assert streets[:3] == [["streets"], ["Rows", str(len(edges))], ["Drawn", str(len(edges))]]
    assert [name for name, _ in streets[3:]] == ["West", "South", "East", "North"]


@pytest.mark.parametrize("wide", [390, 1280])
def test_the_table_and_what_was_clicked_are_seen_whole_beside_the_legend(browser, tmp_path, row_of_five, edges, wide):
    try:
        browser.send("Emulation.setDeviceMetricsOverride", width=wide, height=800, deviceScaleFactor=1, mobile=False)
        show(browser, tmp_path, [edges, row_of_five.assign(creator="a name " * 20)], title="Two layers")
        places = [at(browser, place.x, place.y) for place in row_of_five.geometry]
        panel = browser.ask("(b => [b.left, b.bottom])(document.getElementById('panel').getBoundingClientRect())")
        for x, y in places:
            assert x < panel[0] or y > panel[1], "no image lies below the legend"
            browser.click(x, y)
            left, top, right, bottom = browser.ask(
                "(b => [b.left, b.top, b.right, b.bottom])(document.getElementById('popup').getBoundingClientRect())"
            )
            assert right <= panel[0] or top >= panel[1], "the popup lies beside the legend"
            assert left >= 0
            assert right <= wide
            assert bottom <= 800
        browser.ask("document.getElementById('panel').open = document.getElementById('layers').open = true")
        cells = "[...document.querySelectorAll('#layers th, #layers td')].map(c => c.getBoundingClientRect())"
        box = "document.getElementById('panel').getBoundingClientRect()"
        assert browser.ask(f"{cells}.every(c => c.left >= {box}.left && c.right <= {box}.right)")
        assert browser.ask(
            "document.getElementById('panel').scrollWidth <= document.getElementById('panel').clientWidth"
        )
        assert browser.problems() == []
    finally:
        on_a_desk(browser)


def test_the_first_view_follows_the_size_of_the_page_until_somebody_moves_it(browser, tmp_path, row_of_five):
    """As in a notebook, which opens a page before it has room for it."""
    sized = "Emulation.setDeviceMetricsOverride"
    try:
        browser.send(sized, width=300, height=150, deviceScaleFactor=1, mobile=False)
        show(browser, tmp_path, row_of_five)
        small = browser.ask("mlygeo.state.zoom")
        on_a_desk(browser)
        browser.next_frame()
        assert browser.ask("mlygeo.state.zoom") > small + 1
        browser.ask("document.getElementById('in').click()")
        moved = browser.ask("mlygeo.state.zoom")
        browser.send(sized, width=900, height=500, deviceScaleFactor=1, mobile=False)
        browser.next_frame()
        assert browser.ask("mlygeo.state.zoom") == moved
    finally:
        on_a_desk(browser)


def test_a_phone_has_all_of_it(browser, tmp_path, row_of_five):
    wide, high = 390, 844
    try:
        browser.send("Emulation.setDeviceMetricsOverride", width=wide, height=high, deviceScaleFactor=2, mobile=True)
        browser.send("Emulation.setTouchEmulationEnabled", enabled=True)
        show(browser, tmp_path, row_of_five, title="Five")
        for name in ("in", "out", "all", "choose"):
            box = json.loads(browser.ask(f"JSON.stringify(document.getElementById('{name}').getBoundingClientRect())"))
            assert min(box["width"], box["height"]) >= 44, "a finger hits it"
        zoom = browser.ask("mlygeo.state.zoom")
        x, y = at(browser, 9.12, 48.7)
        browser.send("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        browser.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        browser.next_frame()
        assert str(2**60 + 2) in browser.ask("document.getElementById('popup').textContent")
        assert browser.ask("document.getElementById('hover').hidden"), "a finger has no pointer that rests"
        box = json.loads(browser.ask("JSON.stringify(document.getElementById('popup').getBoundingClientRect())"))
        assert 0 <= box["left"] <= box["right"] <= wide
        browser.ask("document.querySelector('#popup button').click()")
        for apart in (40, 60, 80, 100):
            kind = "touchStart" if apart == 40 else "touchMove"
            points = [{"x": 195 - apart, "y": 600, "id": 0}, {"x": 195 + apart, "y": 600, "id": 1}]
            browser.send("Input.dispatchTouchEvent", type=kind, touchPoints=points)
        browser.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        browser.next_frame()
        assert browser.ask("mlygeo.state.zoom") > zoom + 0.8, "two fingers zoom"
        browser.ask("document.getElementById('panel').open = true; document.getElementById('layers').open = true")
        assert browser.ask("document.documentElement.scrollWidth") <= wide
        assert browser.problems() == []
    finally:
        browser.send("Emulation.setTouchEmulationEnabled", enabled=False)
        on_a_desk(browser)


def test_a_base_map_lies_below(browser, tmp_path, row_of_five, server):
    server.asked.clear()
    options = {"basemap": f"{server.at}/tiles/{{z}}/{{x}}/{{y}}.png", "basemap_attribution": "Tiles: Acme, CC0"}
    show(browser, tmp_path, row_of_five, **options)
    browser.ask(
        "Promise.all([...document.querySelectorAll('#tiles img')].map(i => i.complete || new Promise(done => { i.onload = i.onerror = done; })))"
    )
    picture = browser.screenshot()
    assert colour_at(picture, 500, 250) == TILE
    place = row_of_five.geometry.iloc[1]
    assert colour_at(picture, *at(browser, place.x, place.y)) == style.VERMILION
    assert browser.ask("document.getElementById('attribution').textContent") == "base map: Tiles: Acme, CC0"
    assert all(path.startswith("/tiles/") for path in server.asked)
    assert browser.problems() == []


def test_tiles_that_cannot_be_fetched_stay_empty(browser, tmp_path, row_of_five, server):
    server.asked.clear()
    options = {"basemap": f"{server.at}/none/{{z}}/{{x}}/{{y}}.png", "basemap_attribution": "Tiles: Acme, CC0"}
    show(browser, tmp_path, row_of_five, **options)
    browser.ask(
        "Promise.all([...document.querySelectorAll('#tiles img')].map(i => i.complete || new Promise(done => { i.onload = i.onerror = done; })))"
    )
    with_base = browser.screenshot()
    assert server.asked
    show(browser, tmp_path, row_of_five)
    without = browser.screenshot()
    above = slice(150, 300), slice(100, 600)  # between the controls and the images
    assert (with_base[above] == without[above]).all(), "no sign of a broken picture"


def test_a_picture_has_a_base_map_where_it_belongs(tmp_path, row_of_five, server):
    pytest.importorskip("matplotlib", reason="pictures need mlygeo[plot]")
    frame = row_of_five[["geometry"]]
    frame.to_parquet(tmp_path / "a.parquet")
    server.asked.clear()
    address = f"{server.at}/tiles/{{z}}/{{x}}/{{y}}.png"
    assert cli.main(["map", str(tmp_path / "a.parquet"), "-o", str(tmp_path / "plain.png")]) == 0
    assert server.asked == [], "nothing is asked for that nobody wants"
    status = cli.main(
        [
            "map",
            str(tmp_path / "a.parquet"),
            "--basemap",
            address,
            "--basemap-attribution",
            "Tiles: Acme",
            "-o",
            str(tmp_path / "a.png"),
        ]
    )
    assert status == 0
    assert 1 <= len(server.asked) <= ground.MOST_TILES
    with Image.open(tmp_path / "a.png") as opened:
        colours = np.asarray(opened.convert("RGB"))
    wanted = np.array([int(TILE[i : i + 2], 16) for i in (1, 3, 5)])
    assert (np.abs(colours.astype(int) - wanted).max(axis=2) < 4).mean() > 0.4
    figure = plotting.draw(frame, ground=ground.ground_of(address, "Tiles: Acme"))
    assert "base map: Tiles: Acme" in figure.get_supxlabel()
    image = figure.axes[0].get_images()[0]
    west, east, south, north = image.get_extent()
    assert west <= figure.axes[0].get_xlim()[0] < figure.axes[0].get_xlim()[1] <= east
    assert south <= figure.axes[0].get_ylim()[0] < figure.axes[0].get_ylim()[1] <= north
    lacking = plotting.draw(frame, ground=ground.ground_of(f"{server.at}/none/{{z}}/{{x}}/{{y}}.png", "Acme"))
    assert "of the base map are missing" in lacking.get_supxlabel()
    assert (
        cli.main(
            [
                "map",
                str(tmp_path / "a.parquet"),
                "--basemap",
                f"{server.at}/text/{{z}}/{{x}}/{{y}}",
                "--basemap-attribution",
                "x",
                "-o",
                str(tmp_path / "b.png"),
            ]
        )
        == 1
    )
    assert not (tmp_path / "b.png").exists()


def test_tiles_are_laid_where_their_latitude_is(monkeypatch):
    """Tiles that are black above a latitude and white below it: the picture changes there, too."""
    border = 60.0
    asked = []

    def tile(_, __, zoom, ___, row):
        asked.append((zoom, row))
        rows = np.array([ground.latitude(row + (number + 0.5) / 256, zoom) for number in range(256)])
        return np.repeat(np.where(rows > border, 0, 255).astype(np.uint8)[:, None, None], 256, axis=1).repeat(3, axis=2)

    monkeypatch.setattr(ground, "_tile", tile)
    image, (west, east, south, north), missing = ground.picture(
        ground.Ground("{z}/{x}/{y}", "x"), (-20.0, 30.0, 40.0, 75.0), dots=700
    )
    assert missing == 0
    assert west <= -20 < 40 <= east
    black = (image[:, 0, 0] == 0).mean()
    assert north - black * (north - south) == pytest.approx(border, abs=0.2)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"basemap": "https://tiles.example.org/{z}/{x}/{y}.png"}, "basemap_attribution. is missing"),
        ({"basemap": "https://tiles.example.org/{z}/{x}/{y}.png", "basemap_attribution": " "}, "basemap_attribution. is missing"),
        ({"basemap_attribution": "Acme"}, "no effect without"),
        ({"basemap": "http://tiles.example.org/{z}/{x}/{y}.png", "basemap_attribution": "Acme"}, "neither an address of map tiles"),
    ],
)  # fmt: skip
def test_whose_a_base_map_is_must_be_said(row_of_five, options, says):
    with pytest.raises(InputError, match=says):
        plotting.explore(row_of_five, **options)


def test_openstreetmap_is_known(row_of_five):
    made = plotting.explore(row_of_five, basemap="https://tile.openstreetmap.org/{z}/{x}/{y}.png")
    assert (
        made.attribution == ["base map: © OpenStreetMap contributors, ODbL 1.0"]
        or "OpenStreetMap" in made.attribution[-1]
    )
