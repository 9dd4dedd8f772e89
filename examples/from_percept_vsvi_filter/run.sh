#!/usr/bin/env bash
# The whole preparation of percept-vsvi-filter with the same points, and with ours. Usage: run.sh FOLDER
set -euo pipefail
out=${1:-percept_out}
stuttgart="$(cd "$(dirname "$0")/../stuttgart" && pwd)"
# The old tools' own commands are understood.
mlygeo make_street_points.py -c "$stuttgart/stuttgart_config.json" --streets "$stuttgart/stuttgart_osm_edges.gpkg" \
    --method percept -S 25832 -I 50 -o "$out/mygrid.geojson"
mlygeo mapillary_jpg_download.py -c "$stuttgart/stuttgart_config.json" --tiles-only
# Grid, database and join are one verb; its ID list is what the tutorial's query gives.
mlygeo select -c "$stuttgart/stuttgart_config.json" --streets "$stuttgart/stuttgart_osm_edges.gpkg" \
    --method percept --srid 25832 --interval 50 -o "$out/percept"
mlygeo select -c "$stuttgart/stuttgart_config.json" --streets "$stuttgart/stuttgart_osm_edges.gpkg" \
    --srid 25832 --interval 50 -o "$out/even"
