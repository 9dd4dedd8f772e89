"""Conditions on images."""

import pandas as pd
import pytest

from mlygeo import dtypes, frames
from mlygeo.errors import FrameError, InputError


def test_filters(images):
    assert len(frames.filter_images(images, pano=True)) == 660
    assert len(frames.filter_images(images, pano=False)) == 1298 - 660
    july = frames.filter_images(images, since="2024-07-01")
    before = frames.filter_images(images, until="2024-07-01T00:00:00Z")
    assert len(july) + len(before) == 1298
    assert (july["captured_at"] >= pd.Timestamp("2024-07-01", tz="UTC")).all()
    someone = images["creator_id"].iloc[0]
    assert (frames.filter_images(images, creator=str(someone))["creator_id"] == someone).all()
    assert len(frames.filter_images(images, organization=1)) == 0
    assert frames.filter_images(images) is images


def test_until_a_date_includes_that_day(images):
    days = images["captured_at"].dt.strftime("%Y-%m-%d")
    last = days.max()
    assert len(frames.filter_images(images, until=last)) == 1298
    assert len(frames.filter_images(images, until=f"{last}T00:00:00")) == (days < last).sum()


def test_filters_say_what_is_wrong(images):
    with pytest.raises(InputError, match="not a date"):
        frames.filter_images(images, since="yesterday-ish")
    with pytest.raises(InputError, match="is not before"):
        frames.filter_images(images, since="2024-07-01", until="2024-06-01")
    with pytest.raises(FrameError, match="quality_score"):
        frames.filter_images(images, min_quality=0.5)
    with pytest.raises(FrameError, match="creator_username"):
        frames.filter_images(images, creator="someone")
    with pytest.raises(InputError, match="between 0 and 1"):
        frames.filter_images(images, min_quality=5)


def test_unknown_values_do_not_pass_a_filter(images):
    unknown = images.assign(creator_id=pd.array([pd.NA] * len(images), dtype="Int64"))
    assert len(frames.filter_images(unknown, creator=1)) == 0


def test_images_of_which_nothing_is_known_are_left_out_and_said(images, caplog):
    images = images.copy()
    images.loc[images.index[:7], "captured_at"] = pd.NaT
    assert len(frames.filter_images(images, since="2024", until="2025")) == len(images) - 7
    assert caplog.messages == [f"7 of {len(images)} images have no captured_at, and the filters leave them out"]


@pytest.mark.parametrize("dtype", ["boolean", "Int64", "float64", "object"])
def test_truth_values_with_gaps_are_read_in_every_dtype(dtype):
    gaps = pd.Series([1, 0, None], dtype="float64").astype("Int64")
    assert dtypes.cast(gaps.astype(dtype), "bool").tolist() == [True, False, pd.NA]
