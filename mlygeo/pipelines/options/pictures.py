"""Options on downloads of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mlygeo.errors import InputError
from mlygeo.pipelines.options.groups import dataclass

if TYPE_CHECKING:
    import os

    from mlygeo.downloads.files import RequestedForm

    PathLike = str | os.PathLike[str]

Size = Literal["256", "1024", "2048", "original", "thumb"]
"""Sizes of downloaded pictures; a provider has some of them."""

Layout = Literal["sequence", "time", "flat"]
"""Layouts of a download: names and folders of its files."""

PictureFormat = Literal["jpg", "webp"]
"""Formats of downloaded pictures."""


QualityPreset = Literal["percept"]
"""Programs whose measures and thresholds of pictures are reproduced."""


@dataclass(frozen=True, kw_only=True)
class PictureForm:
    """
    The form of downloaded pictures.

    Parameters
    ----------
    size
        "256", "1024" or "2048": pixels of the longer side. "original": the largest size of the service. Mapillary
        has all of these; Panoramax has "original", "2048" and "thumb" (500 pixels wide).
    layout
        "sequence": SEQUENCE/ID.jpg. "time": YYYYMMDD_HHMMSS_SEQUENCE/YYYYMMDD_HHMMSS_mmm.jpg, UTC.
        "flat": images/ID.jpg with jsons/ID.json.
    exif
        Write position, time, heading, camera, creator and licence into the files, and all other values of the
        service as JSON. The image data are not changed.
    quality
        Re-encode the pictures with this quality, 1 to 100. Default: keep them as delivered.
    format
        "jpg": as delivered. "webp": re-encoded.
    """

    size: Size
    layout: Layout
    exif: bool
    computed: bool
    quality: int | None
    format: PictureFormat

    def __post_init__(self) -> None:
        """Raise for what makes no sense."""
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise InputError(f"`quality` lies between 1 and 100, not at {self.quality}")
        if self.computed and not self.exif:
            raise InputError("`computed` says which position goes into the files", hint="use it with `exif=True`")

    def requested(self) -> RequestedForm:
        """Return the requested form of each image."""
        from mlygeo.downloads.files import RequestedForm
        from mlygeo.downloads.ledger import Form

        said = {"exif": self.exif, "computed": self.computed, f"quality={self.quality}": self.quality is not None}
        form = Form(self.size, self.format, self.layout, " ".join(name for name, is_so in said.items() if is_so))
        return RequestedForm(form, exif=self.exif, computed=self.computed, quality=self.quality)


@dataclass(frozen=True, kw_only=True)
class Downloading:
    """
    How pictures are downloaded.

    Parameters
    ----------
    num_retries
        Number of further attempts before an image counts as failed.
    required_disk_space
        Gigabytes to keep free on the disk; the download stops when less is left. Default: a tenth of the disk, and
        the estimated download must fit before it starts.
    """

    overwrite: bool
    workers: int
    num_retries: int
    required_disk_space: float | None

    def __post_init__(self) -> None:
        """Raise for what makes no sense."""
        if self.workers < 1:
            raise InputError(f"`workers` must be 1 or more, not {self.workers}")
        if self.num_retries < 0:
            raise InputError(f"`num_retries` must be 0 or more, not {self.num_retries}")
        if self.required_disk_space is not None and not 0 <= self.required_disk_space < float("inf"):
            raise InputError(f"`required_disk_space` must be 0 or more, not {self.required_disk_space}")
