"""A server that speaks the protocol of Amazon S3, on this machine."""

from __future__ import annotations

import contextlib
import re
import socket
import urllib.request
from pathlib import Path

import pytest
from helpers.listening import listening


class S3Server:
    """
    A running server.

    Parameters
    ----------
    endpoint
        Its address.
    log
        The file that has a line for each request.
    """

    def __init__(self, endpoint: str, log: Path) -> None:
        import boto3

        self.endpoint, self._log = endpoint, log
        self.client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
        )

    @property
    def environment(self):
        """Variables by which programs find it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
        }  # fmt: skip

    def put(self, bucket, files):
        """Put files, by their keys, into a bucket, which is made."""
        self.client.create_bucket(Bucket=bucket)
        for key, content in files.items():
            self.client.put_object(Bucket=bucket, Key=key, Body=content)

    def requests(self):
        """Return method and path of the requests so far."""
        return re.findall(r'"(GET|HEAD|PUT|POST) (\S+) HTTP', self._log.read_text())

    def refuse_from_now(self):
        """Refuse all requests whose keys are not those of a known user."""
        self._set_auth("0")

    def accept_all(self):
        """Accept any keys again."""
        self._set_auth("inf")

    def _set_auth(self, count):
        request = urllib.request.Request(
            f"{self.endpoint}/moto-api/reset-auth", data=count.encode(), headers={"Content-Type": "text/plain"}
        )
        urllib.request.urlopen(request).close()


@contextlib.contextmanager
def s3_server(folder):
    """Run a server; its log is written to a folder."""
    pytest.importorskip("moto")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = Path(folder) / "s3.log"
    with listening(["moto.server", "-H", "127.0.0.1", "-p", str(port)], port, log):
        yield S3Server(f"http://127.0.0.1:{port}", log)
