"""
Maps as widgets in JupyterLab, ours and lonboard's: what is sent, the first picture, and frames while it is dragged.

    python tests/benchmarks/bench_map_widgets.py [--images 1000 100000 1000000] [--rounds 1] [--folder FOLDER]

Needs JupyterLab, lonboard and Chromium, and says so where they are missing. Both widgets are made and shown by one
cell of one notebook, of the same images with place, time, heading and id, without a base map. Bytes are those of the
messages to the browser, counted in a run of its own; lonboard's own script of 3.8 MB is among them. A script that lonboard fetches from a CDN (parquet-wasm) comes from npm at once. The
browser draws in software (SwiftShader), which no user has: what counts is the ratio. Processor time is that of all of
Chromium's processes, of JupyterLab's page too; that of the kernel and the server is said beside it.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import importlib.util
import json
import math
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from bench_map_libraries import ALL, processor_s, shows_images
from helpers import chromium, jupyterlab

PATIENCE_S = 240.0

PARQUET = "0.7.1"
"""The version of parquet-wasm that lonboard 0.16 asks for; npm has no 0.9.0, which lonboard 0.17 asks for."""

START = """
import sys
sys.path.insert(0, {folder!r})
from bench_map import images
import mlygeo
import {library}
found = images({count})
"""

SHOW = {
    "mlygeo": "mlygeo.explore(found, title='Images').widget()",
    "lonboard": """slim = found[["id", "captured_at", "compass_angle", "geometry"]].copy()
slim["captured_at"] = slim["captured_at"].astype("int64")
layer = lonboard.ScatterplotLayer.from_geopandas(
    slim, get_fill_color=[213, 94, 0], radius_units="pixels", get_radius=2, radius_min_pixels=2)
lonboard.Map(layer, basemap=None, height=560)""",
}
SHOW["all"] = SHOW["mlygeo"]
"""mlygeo draws a part of the points while it is dragged, where all take long; "all" makes it draw all."""


def fetch(folder: Path) -> bytes | None:
    """Return the script that lonboard takes from a CDN, fetched by npm."""
    path = folder / "node_modules" / "parquet-wasm" / "esm" / "parquet_wasm_bg.wasm"
    if not path.exists():
        if shutil.which("npm") is None:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), f"parquet-wasm@{PARQUET}"]
        subprocess.run(command, capture_output=True, check=False)
    return path.read_bytes() if path.exists() else None


class Served(chromium.Browser):
    """A browser that gets what lonboard fetches from a CDN out of a file."""

    def __init__(self, script: bytes, *, counting: bool) -> None:
        super().__init__()
        self.script, self.fetched = base64.b64encode(script).decode(), []
        if not counting:
            self.send("Network.disable")  # passing the messages on takes time
        self.send("Fetch.enable", patterns=[{"urlPattern": "https://*"}])

    def answer(self) -> None:
        """Answer what is asked for."""
        for event in [each for each in self.events if each.get("method") == "Fetch.requestPaused"]:
            self.events.remove(event)
            asked = event["params"]["request"]["url"]
            self.fetched.append(asked)
            headers = [{"name": "Content-Type", "value": "application/wasm"},
                       {"name": "Access-Control-Allow-Origin", "value": "*"}]  # fmt: skip
            body = self.script if f"parquet-wasm@{PARQUET}" in asked else ""
            self.send(
                "Fetch.fulfillRequest", requestId=event["params"]["requestId"], responseHeaders=headers, body=body,
                responseCode=200 if body else 404,
            )  # fmt: skip

    def received(self) -> int:
        """Return the bytes of messages that were received."""
        got = [
            each["params"]["response"] for each in self.events if each.get("method") == "Network.webSocketFrameReceived"
        ]
        return sum(len(each["payloadData"]) * (3 if each["opcode"] == 2 else 4) // 4 for each in got)

    @contextlib.contextmanager
    def inside(self):
        """Within the block, ask the frame of our widget."""
        frames = [each for each in self.send("Target.getTargets")["targetInfos"] if each["type"] == "iframe"]
        page = self.session
        self.session = self.send("Target.attachToTarget", targetId=frames[-1]["targetId"], flatten=True)["sessionId"]
        try:
            yield
        finally:
            self.session = page


def measure(way: str, count: int, script: bytes, *, counting: bool) -> dict[str, float] | None:
    """Return first picture and frames of a widget, or the bytes that are sent; None where nothing is to be seen."""
    library = "lonboard" if way == "lonboard" else "mlygeo"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, contextlib.ExitStack() as stack:
        begin = START.format(folder=str(Path(__file__).parent), library=library, count=count)
        jupyterlab.write_notebook(Path(folder) / "map.ipynb", begin, SHOW[way])
        address, word, server = stack.enter_context(jupyterlab.serving(Path(folder)))
        browser = Served(script, counting=counting)
        stack.callback(browser.close)
        notebook = jupyterlab.Notebook(browser, address, word, "map.ipynb")
        notebook.run(0, seconds=PATIENCE_S)
        browser.events.clear()
        started = time.perf_counter()
        browser_s, kernel_s = processor_s(browser.process.pid), processor_s(server.pid)
        notebook.start(1)
        if not _seen(notebook, started):
            print("    browser:", browser.problems()[:3], "fetched:", browser.fetched)
            return None
        if counting:
            return {"bytes": browser.received()}
        found = {
            "first_s": time.perf_counter() - started,
            "first_cpu_s": processor_s(browser.process.pid) - browser_s,
            "kernel_cpu_s": processor_s(server.pid) - kernel_s,
        }
        time.sleep(2)  # what is still at work after the first picture does not count for the frames
        if way == "all":
            with browser.inside():
                browser.ask(f"{ALL}; 1")
        return {**found, **_dragged(notebook, own=library == "mlygeo")}


def _seen(notebook: jupyterlab.Notebook, started: float) -> bool:
    """Wait until there are images below the cell; return whether there are."""
    while time.perf_counter() - started < PATIENCE_S:
        with contextlib.suppress(AssertionError):  # the page is too busy to answer for a minute
            if _shows(notebook):
                return True
    return False


def _shows(notebook: jupyterlab.Notebook) -> bool:
    notebook.browser.answer()
    time.sleep(0.2)  # looking takes time of the processor, too
    left, top, width, height = notebook.place(1)
    if height < 500:
        return False
    return shows_images(notebook.browser.screenshot()[top + 60 : top + height - 60, left + 60 : left + width - 260])


def _dragged(notebook: jupyterlab.Notebook, *, own: bool, steps: int = 30) -> dict[str, float]:
    """Drag the map by the mouse, step by step, each when the one before is drawn; return what a step takes."""
    browser = notebook.browser
    left, top, width, height = notebook.place(1)
    x, y = left + width / 2, top + height / 2
    frame = browser.inside() if own else contextlib.nullcontext()
    browser.mouse("mouseMoved", x, y)
    browser.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
    page = browser.session
    with frame:
        drawn = browser.session
        before, started = processor_s(browser.process.pid), time.perf_counter()
        made = 0
        while made < steps and time.perf_counter() - started < 15:
            x += 8 if made % 10 < 5 else -8
            browser.session = page
            browser.mouse("mouseMoved", x, y, button="left", buttons=1)
            browser.session = drawn
            try:
                browser.ask("new Promise(done => requestAnimationFrame(() => done(1)))")
            except AssertionError:  # no frame for a minute
                browser.session = page
                return {"frame_ms": math.inf, "frame_cpu_ms": math.inf}
            made += 1
        taken, busy = time.perf_counter() - started, processor_s(browser.process.pid) - before
        browser.session = page
        browser.mouse("mouseReleased", x, y, button="left", clickCount=1)
    return {"frame_ms": taken / made * 1000, "frame_cpu_ms": busy / made * 1000}


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--ways", nargs="+", default=list(SHOW), choices=list(SHOW))
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent / ".data" / "npm")
    given = parser.parse_args()
    missing = [name for name in ("jupyterlab", "lonboard", "anywidget") if importlib.util.find_spec(name) is None]
    if missing or (script := fetch(given.folder)) is None:
        print(
            f"widgets: {' and '.join(missing or ['parquet-wasm by npm'])} is not there, so that they are not compared"
        )
        return
    for count in given.images:
        print(f"\nwidgets in JupyterLab: {count:,} images (drawn in software)")
        for way in given.ways:
            sent = measure(way, count, script, counting=True) if way != "all" else None
            rounds = [measure(way, count, script, counting=False) for _ in range(given.rounds)]
            text = f"  {way:9}" + (f" {sent['bytes'] / 1e6:7.2f} MB sent" if sent else " " * 16)
            if None in rounds:
                print(f"{text}  nothing to see after {PATIENCE_S:.0f} s")
                continue
            middle = {key: statistics.median([one[key] for one in rounds]) for key in rounds[0]}
            print(
                f"{text}  first picture {middle['first_s']:6.2f} s ({middle['first_cpu_s']:6.2f} s of a processor,"
                f" and {middle['kernel_cpu_s']:.2f} s of the kernel's and the server's)"
                f"  a step of dragging {middle['frame_ms']:7.1f} ms ({middle['frame_cpu_ms']:7.1f} ms of a processor)"
            )
            print(json.dumps({"images": count, "way": way, "sent": sent, "taken": rounds}), file=sys.stderr)


if __name__ == "__main__":
    main()
