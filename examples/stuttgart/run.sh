#!/usr/bin/env bash
# From a region to a selection, its coverage and its maps; offline. Usage: run.sh FOLDER
set -euo pipefail
out=${1:-stuttgart_out}
here="$(cd "$(dirname "$0")" && pwd)"
mlygeo tiles -c "$here/stuttgart_config.json" -o "$out/images.parquet"
mlygeo select -c "$here/stuttgart_config.json" --streets "$here/stuttgart_osm_edges.gpkg" --interval 50 --srid 25832 -o "$out"
mlygeo coverage -c "$here/stuttgart_config.json" --streets "$here/stuttgart_osm_edges.gpkg" --distance 20 -o "$out/coverage"
mlygeo map "$here/stuttgart_osm_edges.gpkg" "$out/street_points.parquet" "$out/selection.parquet" -o "$out/map.html"
