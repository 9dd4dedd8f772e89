"""
Perceptual hashes: equal or nearly so for the same picture in another size or encoding, far apart for other pictures.

The hash is pHash by the discrete cosine transform (C. Zauner, Implementation and benchmarking of perceptual image hash
functions, 2010), bit for bit as the package imagehash has it (`imagehash.phash`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

    from mlygeo.arrays import Floats

SIDE = 32
"""Pixels of a side of the small grey picture that is transformed."""

KEPT = 8
"""Lowest frequencies of each direction that make the bits."""

_TURNED = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
"""EXIF orientations (4.6.5) and how `Image.transpose` brings pictures of them upright (`Image.Transpose`)."""


def _cosines() -> Floats:
    """Return the matrix of the transform (DCT-II, not normalised, as scipy.fftpack.dct), its lowest frequencies."""
    place = np.arange(SIDE)
    return 2 * np.cos(np.pi * (2 * place + 1) * np.arange(KEPT)[:, np.newaxis] / (2 * SIDE))


_TRANSFORM: Floats = _cosines()


def phash(picture: Image.Image, orientation: int = 1) -> str:
    """
    Return the perceptual hash of a picture.

    Parameters
    ----------
    picture
        The picture, in any mode.
    orientation
        EXIF orientation of what is stored; the hash is that of the picture as it is shown.

    Returns
    -------
    hash
        64 bits as 16 hexadecimal digits.
    """
    from PIL.Image import Resampling, Transpose

    small: Any = picture.convert("L").resize((SIDE, SIDE), Resampling.LANCZOS)
    if orientation in _TURNED:
        small = small.transpose(Transpose(_TURNED[orientation]))
    # Sums of products one by one: a threaded library for matrices is slower for so few, and differs by machine.
    rows = np.einsum("fr,rc->fc", _TRANSFORM, np.asarray(small, dtype=np.float64))
    lowest = np.einsum("rc,fc->rf", rows, _TRANSFORM)
    bits = (lowest > np.median(lowest)).reshape(-1)
    return np.packbits(bits).tobytes().hex()
