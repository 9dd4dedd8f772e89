"""
GeoParquet 1.1: written for GIS tools, and read whole or in parts.

Written files have WKB, a bounding-box column that lets readers skip row groups, zstd compression, row
groups of 100,000 rows, and rows along a Z-order curve where there is more than one group. Points are
converted between arrays and WKB without an object per point; `mlygeo.store.points` reads parts of files.
Specification: https://geoparquet.org/releases/v1.1.0/.
"""

from mlygeo.store.parquet.reading import read
from mlygeo.store.parquet.streaming import write_pieces
from mlygeo.store.parquet.writing import write, write_points

__all__ = ["read", "write", "write_pieces", "write_points"]
