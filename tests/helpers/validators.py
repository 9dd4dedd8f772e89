"""
The validators of others for what is published: roc-validator (RO-Crate), mlcroissant (Croissant), and stac-geoparquet
with pystac (STAC).

They need other versions of libraries than mlygeo, and have environments of their own: the first use on a machine
makes each, in a minute, in the user's cache folder (MLYGEO_VALIDATORS_FOLDER names another folder).
"""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

import platformdirs
from helpers.environments import programs_of

PACKAGES = ("roc-validator==0.13.0", "rocrate==0.13.0", "mlcroissant[parquet]==1.1.1")

STAC_PACKAGES = ("stac-geoparquet==0.8.3", "pystac[validation]==1.15.2", "geopandas>=1.1")

FOLDER = Path(os.environ.get("MLYGEO_VALIDATORS_FOLDER") or platformdirs.user_cache_path("mlygeo-validators", False))


@cache
def environment() -> Path:
    """The folder of the programs."""
    return programs_of(FOLDER, f"{sys.version_info[:2]} {PACKAGES}", sys.executable, list(PACKAGES))


@cache
def stac_environment() -> Path:
    """The folder of the programs that read STAC-GeoParquet; GeoPandas is there without mlygeo."""
    return programs_of(FOLDER, f"{sys.version_info[:2]} {STAC_PACKAGES}", sys.executable, list(STAC_PACKAGES))
