"""
Measures of a picture's pixels: contrast, tone, brightness and blur, with the definitions of percept-vsvi-filter.

Its definitions are those of scikit-image (`is_low_contrast`), OpenCV (`Laplacian`) and of F. van Bergen's "Measuring
and enhancing image quality attributes" (2020, brightness by D. R. Finley's HSP model). Here they are taken from whole
numbers and in one pass over blocks of rows that stay in the caches, so that they are exact, and several times as fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy.typing as npt

    from mlygeo.arrays import Bytes, Floats, Whole

    Singles: TypeAlias = npt.NDArray[np.float32]

GREY = (2125, 7154, 721)
"""Weights of red, green and blue in a grey value, ten-thousandths (ITU-R BT.709, as scikit-image rounds them)."""

WHITE = 255 * sum(GREY)

PERCENTILES = (0.01, 0.99)
"""Contrast is the share of the range between these; what is darker or brighter does not count."""

RANGE = 2.0
"""Length of the range of values that scikit-image gives pictures of floats, -1 to 1. So the contrast of black and
white is 0.5."""

BRIGHTNESS = (0.299, 0.587, 0.114)
"""Weights of the squares of red, green and blue in the square of a brightness (D. R. Finley, HSP)."""

BINS = 256

DARK = 64.0
"""Pixels of less brightness, a quarter of the range, are dark."""

COARSE = 10_000
"""Grey values, of `WHITE` many, that are counted together at first: 256 counts."""

BLOCK = 1 << 16
"""Pixels worked on at once."""

NEAR = 1e-3
"""A quotient so near a whole number may be on either side of it in single precision, and is compared with the edge."""


class Pixels(NamedTuple):
    """
    What the pixels of a picture tell.

    Parameters
    ----------
    contrast
        0 to 0.5; see `contrast_of`.
    tone
        0 to 1; how like the brightness of the pixels is spread to a beta distribution (2, 2).
    brightness
        Mean brightness, 0 to 255.
    dark_share
        Share of the pixels with a brightness below 64.
    blur
        Variance of the Laplacian; the lower, the more blurred.
    """

    contrast: float
    tone: float
    brightness: float
    dark_share: float
    blur: float


def measure(rgb: Bytes) -> Pixels:
    """
    Measure a picture.

    Parameters
    ----------
    rgb
        Red, green and blue of its pixels, uint8 of shape (height, width, 3); at least one pixel.
    """
    height, width = rgb.shape[:2]
    rows = max(1, BLOCK // width)
    coarse = np.empty(height * width, dtype=np.uint8)
    counts = np.zeros(BINS, dtype=np.int64)
    total, dark = 0.0, 0
    for start in range(0, height, rows):
        red, green, blue = rgb[start : start + rows].reshape(-1, 3).T.astype(np.float32)
        grey = _grey(red, green, blue)
        # Rounded products grow with the value, so each coarse value is a range of fine ones.
        coarse[start * width : start * width + len(grey)] = grey * np.float32(1 / COARSE)
        value = _brightness(red, green, blue)
        counts += _histogram(value)
        total += float(value.sum(dtype=np.float64))
        dark += int(np.count_nonzero(value < DARK))
    pixels = height * width
    return Pixels(contrast_of(rgb, coarse), tone_of(counts, pixels), total / pixels, dark / pixels, blur_of(rgb))


def _grey(red: Singles, green: Singles, blue: Singles) -> Singles:
    """Return grey values, 0 to `WHITE`: whole numbers, which single precision holds exactly."""
    grey = red * np.float32(GREY[0])
    grey += green * np.float32(GREY[1])
    grey += blue * np.float32(GREY[2])
    return grey


def contrast_of(rgb: Bytes, coarse: Bytes) -> float:
    """
    Return the contrast: how far the 1st and the 99th percentile of grey values are apart, halved.

    That is the ratio that `skimage.exposure.is_low_contrast` compares: the range of a picture of floats is taken to be
    -1 to 1 there. Percentiles are interpolated as `numpy.percentile` does.

    Parameters
    ----------
    rgb
        The picture.
    coarse
        For each pixel a whole number that grows with its grey value.
    """
    pixels = rgb.reshape(-1, 3)
    below = np.cumsum(np.bincount(coarse, minlength=BINS))
    low, high = (_percentile(pixels, coarse, below, share) for share in PERCENTILES)
    return (high - low) / RANGE


def _percentile(pixels: Bytes, coarse: Bytes, below: Whole, share: float) -> float:
    """Return a percentile of grey values, 0 to 1."""
    place = (len(pixels) - 1) * share
    first = int(place)
    last = min(first + 1, len(pixels) - 1)
    lower, upper = _ranked(pixels, coarse, below, first, last)
    part = place - first
    step = upper - lower
    return (lower + step * part if part < 0.5 else upper - step * (1 - part)) / WHITE


def _ranked(pixels: Bytes, coarse: Bytes, below: Whole, first: int, last: int) -> tuple[float, float]:
    """Return the grey values of two neighbouring ranks, from 0 on; only the pixels that are coarsely so grey count."""
    groups = np.searchsorted(below, (first, last), side="right")
    near = coarse == groups[0]
    if groups[1] != groups[0]:
        near |= coarse == groups[1]
    before = int(below[groups[0] - 1]) if groups[0] else 0
    ranks = first - before, last - before
    grey = np.partition(_grey(*pixels[np.flatnonzero(near)].T.astype(np.float32)), ranks)
    return float(grey[ranks[0]]), float(grey[ranks[1]])


def _brightness(red: Singles, green: Singles, blue: Singles) -> Singles:
    """Return brightnesses, 0 to 255; it takes the arrays for itself."""
    for values, weight in zip((red, green, blue), BRIGHTNESS, strict=True):
        np.square(values, out=values)
        np.multiply(values, np.float32(weight), out=values)
    red += green
    red += blue
    return np.sqrt(red, out=red)


_EDGES: Singles = np.linspace(0, 255, BINS + 1, dtype=np.float32)


def _histogram(values: Singles) -> Whole:
    """Return what `numpy.histogram(values, bins=256, range=(0, 255))` does; what is above 255 is left out."""
    quotient = values * np.float32(BINS / 255)
    bins = quotient.astype(np.int16)
    rest = quotient - bins
    near = np.flatnonzero((rest < NEAR) | (rest > 1 - NEAR))
    exact = np.searchsorted(_EDGES, values[near], side="right") - 1
    exact[values[near] == _EDGES[-1]] = BINS - 1
    bins[near] = exact
    return np.bincount(bins, minlength=BINS + 1)[:BINS]


def _beta_2_2() -> Floats:
    """Return the density of the beta distribution (2, 2) at as many places as there are bins; its sum is 1."""
    place = np.linspace(0, 1, BINS)
    density = 6 * place * (1 - place)
    shares: Floats = density / density.sum()
    return shares


def tone_of(counts: Whole, pixels: int) -> float:
    """
    Return the tone: the cosine between the shares of pixels by brightness and a beta distribution (2, 2).

    Parameters
    ----------
    counts
        Pixels in each of the 256 bins.
    pixels
        How many there are.
    """
    shares, ideal = counts / pixels, _beta_2_2()
    length = float(np.sqrt(np.sum(ideal**2) * np.sum(shares**2)))
    return float(ideal @ shares) / length if length else float("nan")


def blur_of(rgb: Bytes) -> float:
    """
    Return the variance of the Laplacian over the pixels and colours; the lower, the more blurred.

    The Laplacian is that of OpenCV (`cv2.Laplacian` with its default aperture): the four neighbours less four times
    the pixel, and at the edge the pixel across it in place of the missing one. Used as a measure of focus since J. L.
    Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy (2000).

    Parameters
    ----------
    rgb
        The picture, uint8 of shape (height, width, 3).
    """
    height, width = rgb.shape[:2]
    rows = max(1, BLOCK // width)
    above = np.abs(np.arange(-1, height))
    below = np.minimum(np.arange(1, height + 1), 2 * height - 2 - np.arange(1, height + 1)).clip(0)
    one = two = 0
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        middle = rgb[start:stop].astype(np.int16)
        sums = np.multiply(middle, -4)
        sums[:, 1:] += middle[:, :-1]
        sums[:, :-1] += middle[:, 1:]
        # Across the edge is the pixel beside it, of which there is none in a picture one pixel wide.
        sums[:, 0] += middle[:, min(1, width - 1)]
        sums[:, -1] += middle[:, max(width - 2, 0)]
        sums += rgb[np.minimum(above[start:stop], height - 1)]
        sums += rgb[below[start:stop]]
        one += int(sums.sum(dtype=np.int64))
        two += int(np.square(sums, dtype=np.int32).sum(dtype=np.int64))
    count = rgb.size
    return (two - one * one / count) / count
