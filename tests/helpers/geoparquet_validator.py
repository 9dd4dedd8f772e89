"""
Whether a file is GeoParquet 1.1.0: its metadata by the JSON schema of the specification, its columns by the text.

The schema is the project's own (tests/data/geoparquet); that of PROJJSON, which it refers to, comes with pyproj.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import referencing
import shapely

SCHEMA = Path(__file__).parents[1] / "data" / "geoparquet" / "schema-1.1.0.json"
KINDS = ("Point", "LineString", "LinearRing", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon",
         "GeometryCollection")  # fmt: skip
SIDES = ("xmin", "ymin", "xmax", "ymax")


@cache
def _validator():
    projjson = json.loads((Path(pyproj.datadir.get_data_dir()) / "projjson.schema.json").read_text())
    known = referencing.Registry().with_contents([("https://proj.org/schemas/v0.7/projjson.schema.json", projjson)])
    return jsonschema.Draft7Validator(json.loads(SCHEMA.read_text()), registry=known)


def problems_of(path: Path) -> list[str]:
    """What a file has against the specification; empty if it is valid."""
    file = pq.ParquetFile(path)
    geo = json.loads(file.metadata.metadata[b"geo"])
    if found := _problems_of_metadata(geo):
        return found
    schema, table = file.schema_arrow, file.read()
    if geo["primary_column"] not in geo["columns"]:
        found.append("the primary column is not described")
    if len(set(schema.names)) < len(schema.names):
        found.append("a name is there twice")
    for name, column in geo["columns"].items():
        if name not in schema.names:
            found.append(f"{name}: no such column")
            continue
        found += [f"{name}: {problem}" for problem in _problems_of_column(table, name, column)]
    return found


def _problems_of_metadata(geo):
    """Each CRS is checked once, alone, for that takes most of the time."""
    plain = json.loads(json.dumps(geo))
    found = []
    for column in plain.get("columns", {}).values():
        if isinstance(column, dict) and isinstance(column.get("crs"), dict):
            found += _problems_of_crs(json.dumps(column["crs"]))
            column["crs"] = None
    return found + [f"{error.json_path}: {error.message[:200]}" for error in _validator().iter_errors(plain)]


@cache
def _problems_of_crs(text):
    column = {"encoding": "WKB", "geometry_types": [], "crs": json.loads(text)}
    geo = {"version": "1.1.0", "primary_column": "x", "columns": {"x": column}}
    return [f"{error.json_path}: {error.message[:200]}" for error in _validator().iter_errors(geo)]


def _problems_of_column(table, name, column):
    field = table.schema.field(name)
    if not pa.types.is_binary(field.type):
        return [f"WKB is stored as {field.type}"]
    values = table[name].to_pylist()
    shapes = shapely.from_wkb(np.array(values, dtype=object))
    found = []
    if any(value is not None and value[0] != 1 for value in values):
        found.append("WKB of another byte order than little-endian")
    if any(value is not None and int.from_bytes(value[1:5], "little") > 4000 for value in values):
        found.append("WKB that is not of ISO")
    kinds = {
        KINDS[shape_type] + (" Z" if high else "")
        for shape_type, high in zip(shapely.get_type_id(shapes), shapely.has_z(shapes), strict=True)
        if shape_type >= 0
    }
    if kinds != set(column["geometry_types"]):
        found.append(f"geometry_types are {column['geometry_types']}, and there are {sorted(kinds)}")
    own = shapely.bounds(shapes)
    known = np.isfinite(own).all(axis=1)
    if ("bbox" in column) != bool(known.any()):
        found.append("bbox where there is no coordinate, or none where there is one")
    if "bbox" in column:
        box = np.array(column["bbox"])
        half = len(box) // 2
        flat = np.array([*box[:2], *box[half : half + 2]])
        if not np.array_equal(flat, [*own[known, :2].min(0), *own[known, 2:].max(0)]):
            found.append("bbox is not the extent")
    if "covering" in column:
        found += _problems_of_covering(table, column["covering"]["bbox"]["xmin"][0], own, known)
    return found


def _problems_of_covering(table, name, own, known):
    kind = table.schema.field(name).type
    if [field.name for field in kind] != list(SIDES) or not all(pa.types.is_floating(field.type) for field in kind):
        return [f"the covering is {kind}"]
    boxes = table[name].to_pylist()
    if [box is not None for box in boxes] != known.tolist():
        return ["a box is null and its geometry is not, or the other way round"]
    stated = np.array([[box[side] for side in SIDES] for box in boxes if box is not None]).reshape(-1, 4)
    inside = (stated[:, :2] <= own[known, :2]).all() and (stated[:, 2:] >= own[known, 2:]).all()
    return [] if inside else ["a box does not contain its geometry"]
