"""
Where a result differs on purpose from that of mapillary_tools 0.14.7.

docs/moving/mapillary_tools.md has the reasons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlygeo.progress import counted

if TYPE_CHECKING:
    import geopandas as gpd

    from mlygeo.pipelines.options import Cutting

CUTOFF_DISTANCE_M, MAX_IMAGES = 100.0, 1000
"""Its defaults (constants.py)."""


def note(images: gpd.GeoDataFrame, cutting: Cutting) -> str | None:
    """
    Return a line on what mapillary_tools would have made otherwise of these photos; None where there is nothing.

    Parameters
    ----------
    images
        As `process` leaves them.
    cutting
        How sequences were made.
    """
    from mlygeo import frames
    from mlygeo.spatial import geodesy

    if cutting.preset is not None:
        return None
    used = images[images["error"].isna() & ~images["is_duplicate"].fillna(value=False).astype(bool)]
    used = used[used["sequence_id"].notna()].sort_values(["sequence_id", "captured_at"], kind="stable")
    parts = []
    if lone := int(used["compass_angle"].isna().sum()):
        parts.append(f"{counted(lone, 'heading')} {'is' if lone == 1 else 'are'} unknown and left empty (there 0°)")
    name = used["sequence_id"].to_numpy()
    if cutting.cutoff_distance > CUTOFF_DISTANCE_M and len(used) > 1:
        lon, lat = frames.lonlat(used)
        gaps_m = geodesy.distance(lon[:-1], lat[:-1], lon[1:], lat[1:])
        wide = int(((gaps_m > CUTOFF_DISTANCE_M) & (name[1:] == name[:-1])).sum())
        if wide:
            parts.append(f"{counted(wide, 'gap')} of more than 100 m {'is' if wide == 1 else 'are'} inside sequences")
    if cutting.max_images < MAX_IMAGES and len(used):
        full = int((np.unique(name.astype(str), return_counts=True)[1] == cutting.max_images).sum())
        if full:
            parts.append(f"{counted(full, 'sequence')} ended at {cutting.max_images:,} images (there 1,000)")
    flagged = used["problem"].str.contains("zig-zag|km/h").fillna(value=False)
    if number := int(flagged.sum()):
        parts.append(f"{counted(number, 'photo')} in zig-zags or too fast {'is' if number == 1 else 'are'} not refused")
    return f"unlike mapillary_tools 0.14.7: {'; '.join(parts)}" if parts else None
