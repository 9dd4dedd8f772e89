"""
The jobs behind the verbs and their functions: each joins readers, spatial steps and actors.

A job returns a `Job`, which a function turns into a frame and a verb into files, so that neither
pays for what only the other needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mlygeo.pipelines.job import Job, Output, check_output

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Job", "Output", "check_output", "job_of"]

MODULES = {
    "download": "download",
    "process_and_upload": "chains",
    "video_process": "chains",
    "video_process_and_upload": "chains",
    "download_originals": "originals",
}
"""The module that holds the job of each public function."""


def job_of(function: str) -> Callable[..., Job[Any]]:
    """Return the job behind a public function."""
    if function not in MODULES:
        import mlygeo
        from mlygeo.pipelines.job import body_of

        return body_of(getattr(mlygeo, function))
    module = importlib.import_module(f".{MODULES[function]}", "mlygeo.jobs")
    job: Callable[..., Job[Any]] = getattr(module, function)
    return job
