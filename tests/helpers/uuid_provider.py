"""The toy of `toy_provider` with ids that are UUIDs, as Panoramax has them, and a licence for each picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import geopandas as gpd
import numpy as np
import pandas as pd
from helpers import toy_provider
from shapely import Point

from mlygeo import attribution
from mlygeo.keys import UUIDS

served = toy_provider.served


def key(number):
    return f"abcdef00-0000-4000-8000-{number:012d}"


def number_of(key):
    return int(key[-12:])


@dataclass(frozen=True, kw_only=True)
class Service(toy_provider.Service):
    provider: ClassVar[str] = "panoramax"


class Session(toy_provider.Session):
    def images(self, ids, *, fields):
        from mlygeo.net.answers import GoneError
        from mlygeo.providers import Batch

        batch = Batch()
        for each in list(ids):
            try:
                batch.found[each] = self.entity(each, fields=fields)
            except GoneError:
                batch.missing[each] = toy_provider.Records.gone
        yield batch

    def entity(self, id, *, fields):  # noqa: A002 - the frame's word
        return super().entity(number_of(id), fields=fields)

    def image_ids(self, sequence_id):
        return [key(number) for number in range(1, 5)] if sequence_id.endswith("77") else []


class Records(toy_provider.Records):
    base_fields = ("where", "when", "flat", "ride")
    more_fields = ("licence",)
    fields = (*base_fields, *more_fields)

    def open(self, service, *, workers=16, stop=None):
        return Session(service, stop)

    def seconds_for(self, calls, service):
        return calls / 1.0

    def key_of(self, record):
        return key(record["no"])

    def row_of(self, record):
        if "no" not in record:
            return dict(record)
        return super().row_of(record) | {"id": key(record["no"]), "licence": "CC-BY-4.0", "creator": "Jane"}

    def fields_for(self, *columns):
        return [column for column in columns if column in self.fields]

    def columns_of(self, field):
        return {"where": ("geometry",), "when": ("captured_at",), "flat": ("is_pano",), "ride": ("sequence_id",)}.get(
            field, (field,)
        )

    def frame(self, records, *, fields=None, problems=None):
        rows = [self.row_of(record) for record in records]
        places = [Point(row["geometry"]["coordinates"]) for row in rows]
        times = pd.to_datetime([row["captured_at"] for row in rows], unit="ms", utc=True).as_unit("us")
        columns = {"id": [row["id"] for row in rows], "captured_at": times, "is_pano": np.zeros(len(rows), dtype=bool)}
        columns |= {name: [row[name] for row in rows] for name in ("sequence_id", "licence")}
        frame = gpd.GeoDataFrame(columns, geometry=places, crs=4326)
        return frame.astype({"id": "str", "sequence_id": "str", "licence": "str"})

    def named(self, images, where):
        return UUIDS.array(images["id"].dropna().tolist())

    def add(self, images, found, *, columns, errors):
        kept = [name for name in images.columns if name not in columns]
        merged = images[kept].merge(found[["id", *(name for name in columns if name != "id")]], on="id", how="left")
        merged = gpd.GeoDataFrame(merged, geometry="geometry", crs=4326).set_axis(images.index)
        return merged.assign(error=images["id"].map(errors).astype("str").where(images["id"].isin([*errors]), None))


class Pictures(toy_provider.Pictures):
    def fields(self, size, *, metadata):
        return [*Records.fields]

    def rights(self, record):
        return attribution.of_row(Records().row_of(record), "panoramax")


class Uuid(toy_provider.Toy):
    name, title, attribution, keys = "panoramax", "Panoramax", "Panoramax", UUIDS
    records, pictures, tiles = Records(), Pictures(), None

    def service(self, *, token=None, token_file=None, retry=None, endpoint=None):
        if token is not None or token_file is not None:
            raise AssertionError("a token is not for this service")
        return Service(address=endpoint or ADDRESS)


ADDRESS = "http://127.0.0.1:9"
PROVIDER = Uuid()
