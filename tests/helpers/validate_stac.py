"""
Read a file of STAC-GeoParquet as others do, and print how many of its items pass the schema of STAC, and what is wrong.

Runs in an environment without mlygeo: `python validate_stac.py FILE`. The schemas are those in pystac; nothing is asked
of the network.
"""

import json
import sys
from collections import Counter
from pathlib import Path

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
    said = json.loads(pq.read_schema(path).metadata[b"stac-geoparquet"])
    collections = {}
    for name, content in said["collections"].items():
        collection = pystac.Collection.from_dict(content)
        collection.validate()
        collections[name] = collection.extent.to_dict()
    # A link leads to the file beside it, which says the same.
    beside = {name: pystac.Collection.from_file(str(Path(path).parent / href)).to_dict() for name, href in links(items)}
    for name, content in beside.items():
        pystac.Collection.from_dict(content).validate()
        assert content["extent"] == collections[name], name
    whole = {"version": said["version"], "collections": collections, "beside": sorted(beside)}
    print(json.dumps({"rows": rows, **found, "ids": sorted(item["id"] for item in items), **whole}))


def links(items):
    """Return the collections of items, and where their links lead."""
    return {
        (item["collection"], link["href"]) for item in items for link in item["links"] if link["rel"] == "collection"
    }


main()
