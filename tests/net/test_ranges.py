"""Files on a server, read by ranges."""

import gzip

from helpers import range_server

from mlygeo.net import http
from mlygeo.net.files import Files
from mlygeo.net.ranges import RangeFile


def test_a_part_that_begins_like_gzip_stays_as_it_is():
    """Whole streams of gzip in a file, as archives have them, and bytes that only begin like one."""
    packed = gzip.compress(b"a tile" * 1000, mtime=0)
    content = bytes(100) + packed + b"\x1f\x8b and so on" + bytes(1 << 20)
    with range_server.serving(content) as (address, _, _), http.Client(Files()) as client:
        file = RangeFile(client, address, what="the file")
        for start, stop in ((100, 100 + len(packed)), (100 + len(packed), 150 + len(packed)), (0, 200)):
            assert file.fetch(start, stop) == content[start:stop]
