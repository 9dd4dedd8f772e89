"""Jobs that read photos wait for those that write into them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from mlygeo.jobs._photos_elsewhere import photos_of
from mlygeo.pipelines import inputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlygeo.locks import Doing
    from mlygeo.pipelines.job import Job


def held(doing: Doing) -> Callable[[Callable[..., Job]], Callable[..., Job]]:
    """
    Return a decorator of jobs with an import path, which holds its photos while the job is at work.

    Where another run is in the way, it says so and waits. A dry run holds nothing.

    Parameters
    ----------
    doing
        What the job does to the photos; see `mlygeo.locks.AtWork`.
    """

    def decorated(job: Callable[..., Job]) -> Callable[..., Job]:
        @functools.wraps(job)
        def holding(import_path: Any, **options: Any) -> Job:
            from mlygeo.locks import AtWork
            from mlygeo.progress import Progress

            if options.get("dry_run"):
                return job(import_path, **options)
            named = inputs.several(import_path)
            places = [*named, *(photos for each in named if (photos := photos_of(each)) is not None)]
            with AtWork(places, doing, waiting=(options.get("progress") or Progress()).note):
                return job(import_path, **options)

        return holding

    return decorated
