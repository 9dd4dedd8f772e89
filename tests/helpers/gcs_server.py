"""A server that speaks the protocol of Google Cloud Storage, on this machine."""

from __future__ import annotations

import contextlib
import re
import socket
from pathlib import Path

import pyarrow.fs as pafs
import pytest
from helpers.listening import listening

BUCKET = "streets"


class GcsServer:
    """
    A running server with one bucket, `BUCKET`.

    Parameters
    ----------
    endpoint
        Its address, host and port.
    log
        The file that has a line for each request.
    """

    def __init__(self, endpoint: str, log: Path) -> None:
        self.endpoint, self._log = endpoint, log
        self._files = pafs.GcsFileSystem(anonymous=True, endpoint_override=endpoint, scheme="http")

    @property
    def environment(self):
        """Variables by which programs find it."""
        return {"STORAGE_EMULATOR_HOST": f"http://{self.endpoint}"}

    def put(self, files):
        """Put files, by their keys, into the bucket."""
        for key, content in files.items():
            with self._files.open_output_stream(f"{BUCKET}/{key}") as stream:
                stream.write(content)

    def delete(self, key):
        """Remove a file from the bucket."""
        self._files.delete_file(f"{BUCKET}/{key}")

    def requests(self):
        """Return method and path of the requests so far."""
        return re.findall(r'"(GET|HEAD|PUT|POST) (\S+) HTTP', self._log.read_text())


@contextlib.contextmanager
def gcs_server(folder):
    """Run a server; its log is written to a folder."""
    pytest.importorskip("gcp_storage_emulator")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = Path(folder) / "gcs.log"
    words = ["start", "--host=127.0.0.1", f"--port={port}", "--in-memory", f"--default-bucket={BUCKET}"]
    with listening(["gcp_storage_emulator", *words], port, log):
        yield GcsServer(f"127.0.0.1:{port}", log)
