"""
Read a file of STAC-GeoParquet as others do, and print how many of its items pass the schema of STAC, and what is wrong.

Runs in an environment without mlygeo: `python validate_stac.py FILE`. The schemas are those in pystac; nothing is asked
of the network.
"""

import json
import sys
from collections import Counter

import geopandas
import pyarrow.parquet as pq
import pystac
import stac_geoparquet.arrow


def main() -> None:
    """Print the counts as JSON."""
    path = sys.argv[1]
    items = list(stac_geoparquet.arrow.stac_table_to_items(pq.read_table(path)))
    found = Counter()
    for item in items:
        try:
            pystac.Item.from_dict(item).validate()
            found["valid"] += 1
        except pystac.errors.STACError as error:
            found[str(error.__cause__ or error)[:200]] += 1
    json.dumps(items, allow_nan=False)
    rows = len(geopandas.read_parquet(path))
    print(json.dumps({"rows": rows, **found, "ids": sorted(item["id"] for item in items)}))


main()
