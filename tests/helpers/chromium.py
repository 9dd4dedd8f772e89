"""A real browser for tests: Chromium without a window, spoken to over a pipe (Chrome DevTools Protocol)."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

import numpy as np
import pytest
from helpers.unix import skip_without_unix

OPTIONS = [
    "--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--no-first-run", "--disable-extensions",
    "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", "--disable-dev-shm-usage",
    "--hide-scrollbars", "--mute-audio", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--window-size=1000,700",
]  # fmt: skip


def find() -> str:
    """Return the browser; installed where that can be done, else the test is skipped."""
    for _ in range(2):
        for name in ("chromium", "chromium-browser", "google-chrome"):
            if found := shutil.which(name):
                return found
        if not (hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get")):
            break
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]):
            subprocess.run(
                command, capture_output=True, timeout=600, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            )
    pytest.skip("needs Chromium (Debian package chromium), and cannot install it here")


class Browser:
    """A running browser with one page."""

    def __init__(self) -> None:
        skip_without_unix("pipes that a child inherits by number")
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs_in, self.out = os.pipe()
        self.into, theirs_out = os.pipe()
        script = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self.process = subprocess.Popen(
            ["bash", "-c", script, "bash", find(), *OPTIONS, f"--user-data-dir={self.folder.name}", "about:blank"],
            pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": self.folder.name},
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self.rest, self.number, self.events, self.session = b"", 0, [], None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def close(self) -> None:
        """End the browser."""
        with contextlib.suppress(OSError, AssertionError):
            self.session = None
            self.send("Browser.close")
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.out)
        os.close(self.into)
        self.folder.cleanup()

    def send(self, method: str, **params):
        """Send a command, and return its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + 60
        while time.monotonic() < until:
            while b"\0" in self.rest:
                text, self.rest = self.rest.split(b"\0", 1)
                found = json.loads(text)
                if found.get("id") == self.number:
                    assert "error" not in found, found
                    return found["result"]
                self.events.append(found)
            if select.select([self.into], [], [], 1)[0]:
                part = os.read(self.into, 1 << 20)
                assert part, "the browser has ended"
                self.rest += part
        raise AssertionError(f"{method}: no answer")

    def open(self, url: str, *, seconds: float = 30) -> float:
        """Open a map, and return when it was first drawn, milliseconds after navigation."""
        self.send("Page.navigate", url="about:blank")
        self.events.clear()
        self.send("Page.navigate", url=url)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            drawn = self.ask("(d => d && (d.drawn || d.problem) || '')(document.documentElement?.dataset)")
            if drawn:
                assert drawn.isdigit(), drawn
                return float(drawn)
            time.sleep(0.05)
        raise AssertionError(f"nothing was drawn: {self.problems()}")

    def ask(self, expression: str):
        """Return what an expression gives."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def next_frame(self) -> None:
        """Wait until what was asked for is on the screen."""
        self.ask("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def mouse(self, kind: str, x: float, y: float, **more) -> None:
        """Move, press, release or turn the wheel of the mouse."""
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x: float, y: float) -> None:
        """Click somewhere."""
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=1)
        self.next_frame()

    def drag(self, start: tuple[float, float], stop: tuple[float, float]) -> None:
        """Drag from one place to another."""
        self.mouse("mousePressed", *start, button="left", clickCount=1)
        for share in (0.3, 0.7, 1):
            self.mouse(
                "mouseMoved", *(a + (b - a) * share for a, b in zip(start, stop, strict=True)), button="left", buttons=1
            )
        self.mouse("mouseReleased", *stop, button="left", clickCount=1)
        self.next_frame()

    def screenshot(self) -> np.ndarray:
        """Return what is seen, shape (height, width, 3)."""
        from PIL import Image

        self.next_frame()
        data = base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    def problems(self) -> list[str]:
        """Return what the page complained of."""
        self.send("Runtime.evaluate", expression="1")
        said = [event["params"] for event in self.events if event.get("method") == "Log.entryAdded"]
        thrown = [event["params"] for event in self.events if event.get("method") == "Runtime.exceptionThrown"]
        return [entry["entry"]["text"] for entry in said] + [str(entry["exceptionDetails"]) for entry in thrown]

    def requests(self) -> list[str]:
        """Return the addresses that were asked for."""
        self.send("Runtime.evaluate", expression="1")
        sent = [event for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]
