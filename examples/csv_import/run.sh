#!/usr/bin/env bash
# Photos whose times, positions and further facts stand in a table. Usage: run.sh FOLDER
set -euo pipefail
out=${1:-csv_import_out}
here="$(cd "$(dirname "$0")" && pwd)"
mkdir -p "$out"
cp -r "$here/../gpx_import/photos" "$out/photos"
mlygeo process-csv "$out/photos" --csv-path "$here/positions.csv" --header \
    --filename-column 1 --timestamp-column 2 --time-format "%Y-%m-%d %H:%M:%S.%f" \
    --latitude-column 3 --longitude-column 4 --heading-column 5 --altitude-column 6 \
    --meta-columns 7 --meta-names surface --meta-types string
mlygeo process "$out/photos" --duplicate-distance 0.5 --user-name someone
