"""A real JupyterLab for tests: a server on this machine, and a notebook in a browser (Chromium)."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

NOT_ASKED = "@jupyterlab/apputils-extension/notification.jupyterlab-settings"
"""The setting of whether news may be fetched, which JupyterLab asks for otherwise."""

STATE = """(() => {
  const notebook = window.jupyterapp?.shell?.currentWidget;
  const kernel = notebook?.context?.sessionContext?.session?.kernel;
  return `${kernel?.connectionStatus} ${kernel?.status}`;
})()"""


def require() -> None:
    """Skip the test where JupyterLab is missing."""
    if importlib.util.find_spec("jupyterlab") is None:
        pytest.skip("needs JupyterLab (dependency group lab)")


@contextlib.contextmanager
def serving(folder: Path):
    """Run a server whose notebooks are in a folder; yields its address and the word that it asks for."""
    settings = folder / "settings" / NOT_ASKED
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    word = secrets.token_hex(8)
    own = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    options = {
        "ServerApp.ip": "127.0.0.1", "ServerApp.port": port, "ServerApp.port_retries": 0, "ServerApp.root_dir": folder,
        "LabApp.user_settings_dir": folder / "settings", "LabApp.workspaces_dir": folder / "workspaces",
    }  # fmt: skip
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, *(f"--{name}={value}" for name, value in options.items())], stdout=log, stderr=log,
            cwd=folder, env={**os.environ, **own, "IPYTHONDIR": str(folder / "ipython"), "JUPYTER_TOKEN": word},
        )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until and server.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/api/status?token={word}"):
                break
            time.sleep(0.1)
        else:
            raise AssertionError(f"JupyterLab did not start: {(folder / 'server.log').read_text()[-2000:]}")
        yield address, word, server
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def write_notebook(path: Path, *cells: str) -> None:
    """Write a notebook with cells of code."""
    import nbformat

    made = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    made.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbformat.write(made, path)


class Notebook:
    """A notebook that is open in a browser, alone on the page."""

    def __init__(self, browser, address: str, word: str, name: str) -> None:
        self.browser = browser
        # So tall that the page need not scroll to a cell that runs.
        size = {"width": 1000, "height": 1200, "deviceScaleFactor": 1, "mobile": False}
        browser.send("Emulation.setDeviceMetricsOverride", **size)
        browser.send("Page.navigate", url=f"{address}/doc/tree/{name}?token={word}")
        self.wait(f"{STATE} === 'connected idle'", seconds=60)

    def wait(self, expression: str, *, seconds: float) -> None:
        """Wait until an expression is true on the page."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.browser.ask(f"Boolean({expression})"):
                return
            time.sleep(0.05)
        seen = self.browser.ask("document.body.innerText.slice(-1500)")
        raise AssertionError(f"not after {seconds} s: {expression}; {self.browser.problems()}; {seen}")

    def start(self, number: int) -> None:
        """Run a cell, without waiting for it."""
        cell = "window.jupyterapp.shell.currentWidget.content"
        self.browser.ask(f"{cell}.activeCellIndex = {number}; {cell}.deselectAll(); 1")
        self.browser.ask("window.jupyterapp.commands.execute('notebook:run-cell'); 1")

    def run(self, number: int, *, seconds: float = 60) -> str:
        """Run a cell to its end; return the text below it."""
        model = f"window.jupyterapp.shell.currentWidget.content.widgets[{number}].model"
        before = self.browser.ask(f"{model}.executionCount") or 0
        self.start(number)
        self.wait(f"{model}.executionState === 'idle' && {model}.executionCount > {before}", seconds=seconds)
        return self.text(number)

    def text(self, number: int) -> str:
        """Return the text below a cell."""
        cell = f"window.jupyterapp.shell.currentWidget.content.widgets[{number}].node"
        return self.browser.ask(
            f"[...{cell}.querySelectorAll('.jp-OutputArea-output')].map(e => e.innerText).join('\\n')"
        )

    def place(self, number: int, what: str = ".jp-OutputArea-output") -> tuple[int, int, int, int]:
        """Return left, top, width and height of something below a cell, pixels."""
        cell = f"window.jupyterapp.shell.currentWidget.content.widgets[{number}].node"
        box = f"{cell}.querySelector({json.dumps(what)})?.getBoundingClientRect()"
        found = self.browser.ask(f"(box => box && [box.x, box.y, box.width, box.height])({box})")
        return tuple(round(each) for each in found or (0, 0, 0, 0))
