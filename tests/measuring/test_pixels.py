"""Measures of pixels: those of percept-vsvi-filter to the last digits, and of NumPy and SciPy on any picture."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageFilter
from scipy import ndimage, stats

from mlygeo.measuring import pictures, pixels

ROOT = Path(__file__).parents[2]
PERCEPT = json.loads((ROOT / "tests/data/percept_filter.json").read_text())
STREET = ROOT / "examples/stuttgart/pictures/1138211467256565.jpg"


def rgb_of(path):
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.mark.parametrize("name", PERCEPT)
def test_a_picture_has_the_values_and_the_decision_of_percept(name):
    expected = PERCEPT[name]
    found = pixels.measure(rgb_of(ROOT / name))
    assert found.contrast == pytest.approx(expected["contrast"], rel=1e-12, abs=1e-15)
    assert found.tone == pytest.approx(expected["tone"], rel=1e-12)
    assert found.blur == pytest.approx(expected["laplacian"], rel=1e-12)
    assert found.brightness == pytest.approx(expected["finley"], rel=1e-5), "percept adds in single precision"
    score, accepted = pictures.percept_decision(np.array([found.contrast]), np.array([found.tone]))
    assert score[0] == pytest.approx(expected["v"], rel=1e-12, abs=1e-15)
    assert bool(accepted[0]) is expected["accepted"]


def test_some_of_these_are_accepted_and_some_are_not():
    assert len({each["accepted"] for each in PERCEPT.values()}) == 2


def contrast_by_numpy(rgb):
    grey = (rgb / 255) @ [0.2125, 0.7154, 0.0721]
    low, high = np.percentile(grey, [1, 99])
    return (high - low) / 2


def brightness_of(rgb):
    red, green, blue = np.moveaxis(np.float32(rgb), -1, 0)
    return np.sqrt(red**2 * 0.299 + green**2 * 0.587 + blue**2 * 0.114)


def tone_by_numpy(rgb):
    counts, _ = np.histogram(brightness_of(rgb), bins=256, range=(0, 255))
    density = stats.beta(2, 2).pdf(np.linspace(0, 1, 256))
    return counts @ density / np.linalg.norm(counts) / np.linalg.norm(density) if counts.any() else np.nan


def blur_by_scipy(rgb):
    return np.var([ndimage.laplace(rgb[..., band].astype(float), mode="mirror") for band in range(3)])


def compared(rgb):
    found = pixels.measure(rgb)
    assert found.contrast == pytest.approx(contrast_by_numpy(rgb), abs=1e-12)
    assert found.tone == pytest.approx(tone_by_numpy(rgb), abs=1e-12, nan_ok=True)
    assert found.blur == pytest.approx(blur_by_scipy(rgb), rel=1e-9, abs=1e-9)
    bright = brightness_of(rgb)
    assert found.brightness == pytest.approx(bright.mean(dtype=float), rel=1e-12, abs=1e-12)
    assert found.dark_share == np.mean(bright < 64)


SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))


@settings(max_examples=200, deadline=None)
@given(hnp.arrays(np.uint8, SHAPES))
def test_any_picture_has_the_values_of_numpy_and_scipy(rgb):
    compared(rgb)


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.lists(st.integers(0, 255), min_size=1, max_size=3), st.integers(0, 2**32 - 1))
def test_pictures_of_few_values_too(shape, values, seed):
    compared(np.random.default_rng(seed).choice(np.array(values, dtype=np.uint8), shape))


@pytest.mark.parametrize("value", [0, 1, 63, 64, 127, 254, 255])
def test_pictures_of_one_colour_too(value):
    compared(np.full((7, 9, 3), value, dtype=np.uint8))


def test_every_grey_and_every_edge_of_a_bin_is_in_the_right_one():
    grey = np.arange(256, dtype=np.uint8)
    compared(np.repeat(grey[:, np.newaxis], 3, axis=1)[np.newaxis])
    edges = np.linspace(0, 255, 257, dtype=np.float32)
    values = np.concatenate([edges, np.nextafter(edges, np.float32(0)), np.nextafter(edges, np.float32(300))])
    values = np.clip(values, 0, np.nextafter(np.float32(255), np.float32(300)))
    assert pixels._histogram(values).tolist() == np.histogram(values, bins=256, range=(0, 255))[0].tolist()


@pytest.mark.parametrize("block", [1, 100, 5000, 1 << 20])
def test_the_size_of_blocks_changes_nothing(monkeypatch, block):
    rgb = rgb_of(ROOT / "tests/data/photos/DSCN0010.jpg")
    whole = pixels.measure(rgb)
    monkeypatch.setattr(pixels, "BLOCK", block)
    again = pixels.measure(rgb)
    assert again.brightness == pytest.approx(whole.brightness, rel=1e-12)
    assert again._replace(brightness=whole.brightness) == whole


@pytest.mark.parametrize("path", [STREET, ROOT / "tests/data/photos/DSCN0010.jpg"], ids=lambda path: path.stem)
def test_the_more_blurred_the_lower(path):
    picture = Image.open(path).convert("RGB")
    steps = [
        picture,
        *(picture.filter(ImageFilter.GaussianBlur(radius)) for radius in (0.3, 0.5, 0.8, 1.2, 2, 3, 5, 8, 12, 20)),
    ]
    found = [pixels.blur_of(np.asarray(each)) for each in steps]
    assert len(found) == 11
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 11
    assert found[0] > 50 * found[-1]


def test_darker_pictures_are_darker():
    rgb = rgb_of(STREET)
    found = [pixels.measure((rgb * factor).astype(np.uint8)) for factor in (1, 0.7, 0.4, 0.1)]
    assert [each.brightness for each in found] == sorted((each.brightness for each in found), reverse=True)
    assert [each.dark_share for each in found] == sorted(each.dark_share for each in found)
    assert found[-1].dark_share == 1
