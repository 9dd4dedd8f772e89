"""What older tools called things: every spelling here is accepted beside ours."""

from __future__ import annotations

VERBS = {
    "make-street-points": "streets",
    "make-street-points.py": "streets",
}
"""Verb of an older tool -> ours. Underscores are read as dashes before."""

OPTIONS = {
    "config": ("--configfile",),
    "interval": ("-I",),
    "output": ("-o",),
    "overwrite": ("-O",),
    "srid": ("-S",),
    "tile_cache": ("--tile-cache-dir",),
}
"""Our option -> short flags, and the flags of make_street_points.py and mapillary_jpg_download.py."""
