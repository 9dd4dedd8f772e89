"""
Interactive maps by libraries that a page can carry: size, first draw, and frames while it is dragged.

    python tests/benchmarks/bench_map_libraries.py [--images 1000 100000 1000000] [--rounds 1] [--folder FOLDER]

mlygeo's page against MapLibre GL JS (GeoJSON as a circle layer), MapLibre with deck.gl (MapboxOverlay and a
ScatterplotLayer of binary columns). Of lonboard, where it is installed, the size of the page alone, since two of
its scripts come from a CDN. All pages have the images' places, times, headings and ids in them, and no base map.
The libraries are fetched by npm into a folder of their own; without npm or network the comparison is left out and
says so. The browser is Chromium without a window that draws in software
(SwiftShader), which no user has: what counts is the ratio. Processor time is that of all of Chromium's processes.
"""

from __future__ import annotations

import argparse
import base64
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from bench_map import images
from helpers import chromium

from mlygeo import frames, plotting

PACKAGES = ("maplibre-gl@5.24.1", "deck.gl@9.4.0", "@deck.gl/mapbox@9.4.0")
PATIENCE_S = 90.0
TICK = os.sysconf("SC_CLK_TCK")


def fetch(folder: Path) -> Path | None:
    """Fetch the libraries by npm, unless they are there; return where they are."""
    modules = folder / "node_modules"
    if not all((modules / name.rsplit("@", 1)[0]).is_dir() for name in PACKAGES):
        if shutil.which("npm") is None:
            print("maps: npm is not there, so that other libraries cannot be measured")
            return None
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), *PACKAGES]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            print("maps: npm cannot fetch the other libraries, so that they cannot be measured")
            return None
    return modules


def _columns(frame):
    lon, lat = frames.lonlat(frame)
    times = frame["captured_at"].to_numpy("datetime64[s]").astype("uint32")
    return lon, lat, times, frame["compass_angle"].to_numpy("float32"), frame["id"].to_numpy("int64")


def _text(values) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


HEAD = """<!DOCTYPE html><html><head><meta charset="utf-8"><style>{css} html,body,#map{{margin:0;height:100%}}</style>
</head><body><div id="map"></div><script>{script}</script>
<script>const values = (text, type) => new type(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer);
const drawn = () => requestAnimationFrame(() => requestAnimationFrame(() => {{
  document.documentElement.dataset.drawn ??= String(Math.round(performance.now())); }}));
const STYLE = {{version: 8, sources: {{}}, layers: [{{id: "ground", type: "background", paint: {{"background-color": "#f6f7f8"}}}}]}};
const map = new maplibregl.Map({{container: "map", style: STYLE, center: [9.2, 48.8], zoom: 10, attributionControl: false, fadeDuration: 0}});
window.pan = (by) => map.panBy([by, 0], {{duration: 0}});
"""


def maplibre(frame, path: Path, modules: Path) -> None:
    """Write a page by MapLibre alone."""
    lon, lat, times, heading, ids = _columns(frame)
    # As GeoJSON each image would take 200 bytes; columns of bytes that the page turns into GeoJSON are smaller.
    page = _head(modules, ["maplibre-gl/dist/maplibre-gl.js"])
    page += f"""const lon = values("{_text(lon)}", Float64Array), lat = values("{_text(lat)}", Float64Array);
      const time = values("{_text(times)}", Uint32Array), look = values("{_text(heading)}", Float32Array);
      const id = values("{_text(ids)}", BigInt64Array);
      const features = Array.from(lon, (x, i) => ({{type: "Feature", geometry: {{type: "Point", coordinates: [x, lat[i]]}},
        properties: {{id: String(id[i]), time: time[i], look: look[i]}}}}));
      map.on("load", () => {{
        map.addSource("images", {{type: "geojson", data: {{type: "FeatureCollection", features}}, buffer: 16}});
        map.addLayer({{id: "images", type: "circle", source: "images", paint: {{"circle-radius": 2, "circle-color": "#d55e00"}}}});
        map.on("idle", drawn);
      }});</script></body></html>"""
    path.write_text(page, encoding="utf-8")


def deckgl(frame, path: Path, modules: Path) -> None:
    """Write a page by MapLibre, with deck.gl above it."""
    lon, lat, times, heading, ids = _columns(frame)
    page = _head(modules, ["maplibre-gl/dist/maplibre-gl.js", "deck.gl/dist.min.js"])
    page += f"""const xy = values("{_text(np.column_stack([lon, lat]).astype("float32"))}", Float32Array);
      const time = values("{_text(times)}", Uint32Array), look = values("{_text(heading)}", Float32Array);
      const id = values("{_text(ids)}", BigInt64Array);
      const layer = new deck.ScatterplotLayer({{id: "images", data: {{length: xy.length / 2, attributes: {{getPosition: {{value: xy, size: 2}}}}}},
        getFillColor: [213, 94, 0], radiusUnits: "pixels", getRadius: 2, pickable: true, positionFormat: "XY"}});
      map.on("load", () => map.addControl(new deck.MapboxOverlay({{interleaved: false, layers: [layer], onAfterRender: drawn}})));
      </script></body></html>"""
    path.write_text(page, encoding="utf-8")


def own(frame, path: Path, modules: Path) -> None:
    """Write our page."""
    del modules
    plotting.explore(frame, title="Images").save(path)


def _head(modules: Path, scripts: list[str]) -> str:
    text = "</script><script>".join((modules / name).read_text(encoding="utf-8") for name in scripts)
    css = (modules / "maplibre-gl/dist/maplibre-gl.css").read_text(encoding="utf-8")
    return HEAD.format(css=css, script=text)


PAN = """new Promise(done => { let made = 0; const started = performance.now(), taken = () => performance.now() - started;
  const pan = window.pan ?? ((by) => mlygeo.moveTo(mlygeo.state.x + by * 2 ** 24 / 2 ** mlygeo.state.zoom, mlygeo.state.y, mlygeo.state.zoom));
  const step = () => { pan(made % 10 < 5 ? 8 : -8);
    requestAnimationFrame(() => ++made < 30 && taken() < 15000 ? step() : done([taken() / made, made])); }; step(); })"""


def measure(path: Path, *, everything: bool) -> dict[str, float] | None:
    """Return first draw and frames of a page: by the clock, and of the processor, seconds and milliseconds."""
    browser = chromium.Browser()
    try:
        before = processor_s(browser.process.pid)
        started = time.perf_counter()
        browser.send("Page.navigate", url=path.as_uri())
        while time.perf_counter() - started < PATIENCE_S:
            if shows_images(browser.screenshot()[100:600, 100:700]):
                break
        else:
            return None
        first, first_cpu = time.perf_counter() - started, processor_s(browser.process.pid) - before
        time.sleep(2)  # what is still at work after the first picture does not count for the frames
        before = processor_s(browser.process.pid)
        if everything:
            browser.ask(f"{ALL}; 1")
        frame_ms, steps = browser.ask(PAN)
        return {
            "first_s": first,
            "first_cpu_s": first_cpu,
            "frame_ms": frame_ms,
            "frame_cpu_ms": (processor_s(browser.process.pid) - before) / steps * 1000,
        }
    except AssertionError as error:  # the page is too busy to answer, or has stopped
        print("   ", str(error)[:200])
        return None
    finally:
        browser.close()


def shows_images(picture) -> bool:
    """Return whether there are points of the images' colour in a picture, shape (height, width, channels)."""
    red, blue = (picture[..., channel].astype(int) for channel in (0, 2))
    return bool(((red > 150) & (red > blue + 60)).mean() > 2e-4)


def processor_s(root: int) -> float:
    """Return the processor time of a process and of all that it started, seconds."""
    parents, taken = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents[int(entry.name)], taken[int(entry.name)] = int(fields[1]), int(fields[11]) + int(fields[12])
    mine, found = {root}, True
    while found:
        found = {pid for pid, parent in parents.items() if parent in mine and pid not in mine}
        mine |= found
    return sum(taken.get(pid, 0) for pid in mine) / TICK


def _lonboard(frame) -> int:
    """Return the size of lonboard's page, bytes."""
    import lonboard

    slim = frame[["id", "captured_at", "compass_angle", "geometry"]].copy()
    slim["captured_at"] = slim["captured_at"].astype("int64")
    layer = lonboard.ScatterplotLayer.from_geopandas(slim, get_fill_color=[213, 94, 0])
    return len(lonboard.Map(layer).to_html().encode())


WAYS = {"mlygeo": own, "all": own, "maplibre": maplibre, "deck.gl": deckgl}
"""mlygeo's page draws a part of the points while it is dragged, where all take long; "all" makes it draw all."""

ALL = "Object.defineProperty(mlygeo.state, 'bears', {get: () => Infinity, set: () => {}})"


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / ".data" / "npm")
    given = parser.parse_args()
    modules = fetch(given.folder)
    ways = given.ways if modules else ["mlygeo"]
    for count in given.images:
        frame = images(count)
        print(f"\nmap by library: {count:,} images (drawn in software)")
        with tempfile.TemporaryDirectory() as folder:
            found: dict[str, list[dict[str, float] | None]] = {way: [] for way in ways}
            sizes = {}
            for _ in range(given.rounds):
                for way in ways:
                    path = Path(folder) / f"{way}.html"
                    WAYS[way](frame, path, modules)
                    sizes[way] = path.stat().st_size
                    found[way].append(measure(path, everything=way == "all"))
            for way, taken in found.items():
                text = f"  {way:9} {sizes[way] / 1e6:7.2f} MB"
                if None in taken:
                    print(f"{text}  nothing to see after {PATIENCE_S:.0f} s")
                    continue
                middle = {key: statistics.median([one[key] for one in taken]) for key in taken[0]}
                print(
                    f"{text}  first picture {middle['first_s']:6.2f} s ({middle['first_cpu_s']:6.2f} s of a processor)"
                    f"  a frame {middle['frame_ms']:7.1f} ms ({middle['frame_cpu_ms']:7.1f} ms of a processor)"
                )
        if importlib.util.find_spec("lonboard"):
            print(f"  lonboard  {_lonboard(frame) / 1e6:7.2f} MB")
        print(json.dumps({"images": count, "bytes": sizes, "taken": found}), file=sys.stderr)


if __name__ == "__main__":
    main()
