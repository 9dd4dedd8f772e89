#!/usr/bin/env bash
# Photos that know no position, and the GPX track of the same ride. Usage: run.sh FOLDER
set -euo pipefail
out=${1:-gpx_import_out}
here="$(cd "$(dirname "$0")" && pwd)"
mkdir -p "$out"
cp -r "$here/photos" "$out/photos"   # process writes into photos, so the example works on copies
mlygeo process "$out/photos" --geotag-source gpx --geotag-source-path "$here/ride.gpx" \
    --offset-time 3 --duplicate-distance 0.5 --user-name someone
mlygeo map "$out/photos/.mlygeo/images.parquet" -o "$out/map.png"
mlygeo upload "$out/photos" --dry-run
