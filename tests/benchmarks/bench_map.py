"""
Interactive maps of many images: time to write, file size, and time to the first picture in Chromium.

    python tests/benchmarks/bench_map.py [--images 1000000] [--others 50000 200000] [--rounds 2]
    python tests/benchmarks/bench_map.py --many 20000000

mlygeo against folium (GeoJSON as circles on Leaflet's canvas, its script from Debian's libjs-leaflet
since there is no network) and pydeck (offline, its bundle within the page). All show id, time and
heading in popups or tooltips. Time is from navigation until the screenshot holds the points; the
browser draws in software. What the others cannot open in a minute is left out and said so.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers import chromium

from mlygeo import frames, plotting

LEAFLET = Path("/usr/share/javascript/leaflet")
PATIENCE_S = 60.0


def images(count: int) -> gpd.GeoDataFrame:
    """Return images along streets, as a service with a tile grid gives them."""
    random = np.random.default_rng(1)
    street = random.integers(0, 4000, count)
    middle, turn = random.uniform(-0.15, 0.15, (4000, 2)), random.uniform(0, np.pi, 4000)
    along = random.uniform(-0.006, 0.006, count)
    lon = 9.2 + middle[street, 0] + along * np.cos(turn[street]) + random.normal(0, 2e-5, count)
    lat = 48.8 + middle[street, 1] + 0.66 * along * np.sin(turn[street]) + random.normal(0, 2e-5, count)
    return gpd.GeoDataFrame(
        {
            "id": random.permutation(count).astype("int64") * 7 + 10**15,
            "sequence_id": pd.Series([f"seq{number:019d}" for number in street], dtype="str"),
            "captured_at": pd.to_datetime(1_600_000_000_000 + street * 10**7 + np.arange(count), unit="ms", utc=True).as_unit("ms"),
            "compass_angle": np.mod(np.degrees(turn[street]) + random.normal(0, 5, count), 360).round(2),
            "is_pano": street % 3 == 0,
            "creator_id": pd.array(10**14 + street % 300, dtype="Int64"),
        },
        geometry=gpd.GeoSeries(frames.points(lon, lat), crs=4326),
    )  # fmt: skip


def mlygeo(frame: gpd.GeoDataFrame, path: Path) -> None:
    """Write our map."""
    plotting.explore(frame, title="Images").save(path)


def folium(frame: gpd.GeoDataFrame, path: Path) -> None:
    """Write a map by folium: the fastest of its ways that keeps a popup for each point."""
    import folium as library

    slim = frame[["id", "captured_at", "compass_angle", "geometry"]].copy()
    slim["id"], slim["captured_at"] = slim["id"].astype("str"), slim["captured_at"].astype("str")
    drawn = library.Map(location=(48.8, 9.2), zoom_start=11, tiles=None, prefer_canvas=True)
    circle = library.CircleMarker(radius=3, color="#d55e00", weight=1, fill=True, fill_opacity=1)
    popup = library.GeoJsonPopup(["id", "captured_at", "compass_angle"])
    library.GeoJson(slim, marker=circle, popup=popup).add_to(drawn)
    page = drawn.get_root().render()
    # What folium fetches from servers elsewhere is not there; of it this map needs Leaflet alone.
    page = re.sub(r"<(script|link)[^>]*https?://[^>]*>(</script>)?", "", page)
    script = f'<script src="{(LEAFLET / "leaflet.min.js").as_uri()}"></script>'
    style = f'<link rel="stylesheet" href="{(LEAFLET / "leaflet.css").as_uri()}">'
    path.write_text(page.replace("<head>", f"<head>{script}{style}", 1), encoding="utf-8")


def pydeck(frame: gpd.GeoDataFrame, path: Path) -> None:
    """Write a map by pydeck, with its script in the page."""
    import pydeck as library

    lon, lat = frames.lonlat(frame)
    table = pd.DataFrame({
        "lon": lon, "lat": lat, "id": frame["id"].astype("str"), "captured_at": frame["captured_at"].astype("str"),
        "compass_angle": frame["compass_angle"],
    })  # fmt: skip
    layer = library.Layer(
        "ScatterplotLayer", table, get_position=["lon", "lat"], get_fill_color=[213, 94, 0], radius_min_pixels=2,
        get_radius=5, pickable=True,
    )  # fmt: skip
    view = library.ViewState(longitude=9.2, latitude=48.8, zoom=10.5)
    library.Deck([layer], initial_view_state=view, map_provider=None, tooltip={"text": "{id}"}).to_html(
        str(path), offline=True, open_browser=False
    )


def first_picture(path: Path) -> float | None:
    """Return the seconds from navigation to a screenshot with the points in it; None where it takes too long."""
    browser = chromium.Browser()
    try:
        started = time.perf_counter()
        browser.send("Page.navigate", url=path.as_uri())
        while time.perf_counter() - started < PATIENCE_S:
            picture = browser.screenshot().astype(int)[100:500, 150:700]
            if ((picture[..., 0] > 150) & (picture[..., 0] > picture[..., 2] + 60)).mean() > 0.02:
                return time.perf_counter() - started
    except AssertionError:
        pass  # the page is too busy to answer
    finally:
        browser.close()
    return None


def pan(path: Path) -> float:
    """Return the milliseconds that a frame takes while the map of mlygeo is dragged."""
    browser = chromium.Browser()
    try:
        browser.open(path.as_uri(), seconds=PATIENCE_S)
        script = """new Promise(done => { let left = 20; const started = performance.now();
            const step = () => { mlygeo.moveTo(mlygeo.state.x + 20000, mlygeo.state.y, mlygeo.state.zoom);
              requestAnimationFrame(() => --left ? step() : done((performance.now() - started) / 20)); }; step(); })"""
        return float(browser.ask(script))
    finally:
        browser.close()


def compare(count: int, ways: dict[str, object], rounds: int) -> None:
    """Write and open maps of so many images, interleaved, and print ratios."""
    frame = images(count)
    print(f"\nmap: {count:,} images")
    with tempfile.TemporaryDirectory() as folder:
        figures: dict[str, list[tuple[float, float, float | None]]] = {way: [] for way in ways}
        for number in range(rounds):
            for way in list(ways) if number % 2 == 0 else reversed(list(ways)):
                path = Path(folder) / f"{way}.html"
                started = time.perf_counter()
                ways[way](frame, path)
                written = time.perf_counter() - started
                figures[way].append((written, path.stat().st_size / 1e6, first_picture(path)))
        own = figures["mlygeo"]
        for way, taken in figures.items():
            written, size, shown = (
                statistics.median(values) if None not in (values := [figure[place] for figure in taken]) else None
                for place in range(3)
            )
            size_ratio = size / own[0][1]
            text = f"  {way:8} {written:6.1f} s to write  {size:8.1f} MB ({size_ratio:5.1f}x)"
            if shown is None:
                print(f"{text}  nothing to see after {PATIENCE_S:.0f} s")
            else:
                ratio = shown / statistics.median([figure[2] for figure in own])
                print(f"{text}  first picture after {shown:6.2f} s ({ratio:5.1f}x)")
        print(f"  mlygeo   {pan(Path(folder) / 'mlygeo.html'):6.0f} ms a frame while it is dragged, drawn in software")


def _write(count: int, path: Path) -> None:
    from mlygeo import store

    store.write_frame(images(count), path)


def many(count: int) -> None:
    """Write a map and a picture of a file of more images than a browser bears, each in a process of its own."""
    print(f"\nmap: a GeoParquet file of {count:,} images")
    with tempfile.TemporaryDirectory() as folder:
        # A process starts with the memory of the one that starts it, so another one makes the images.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            pool.submit(_write, count, Path(folder) / "images.parquet").result()
        for ending in ("html", "png"):
            target = Path(folder) / f"map.{ending}"
            command = [sys.executable, "-m", "mlygeo", "map", str(Path(folder) / "images.parquet"), "-o", str(target)]
            started = time.perf_counter()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            _, _, used = os.wait4(process.pid, 0)
            print(
                f"  .{ending:5} {time.perf_counter() - started:6.1f} s ({used.ru_utime + used.ru_stime:.1f} s of a processor)"
                f"  {used.ru_maxrss / 1024:8,.0f} MB of memory  {target.stat().st_size / 1e6:6.1f} MB"
            )


def main() -> None:
    """Run all comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--others", type=int, nargs="*", default=[50_000, 200_000])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--many", type=int, help="only maps of a file of so many images, such as 20000000")
    given = parser.parse_args()
    if given.many:
        many(given.many)
        return
    for count in given.others:
        compare(count, {"mlygeo": mlygeo, "folium": folium, "pydeck": pydeck}, given.rounds)
    compare(given.images, {"mlygeo": mlygeo}, given.rounds)


if __name__ == "__main__":
    main()
