"""Jobs one after another: from videos to photos, from photos to sequences, from sequences to an upload."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from mlygeo.jobs import job_of
from mlygeo.pipelines.options import parameter_texts
from mlygeo.pipelines.processing import process
from mlygeo.pipelines.uploads import upload
from mlygeo.pipelines.video import sample_video

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["process_and_upload", "video_process", "video_process_and_upload"]


def _chain(name: str, text: str, *steps: Callable[..., Any], example: str) -> Callable[..., Any]:
    """
    Return a function that does several jobs one after another, with the options of all of them.

    Parameters
    ----------
    name
        Its name, which is its job's, too.
    text
        What it does, and what it returns.
    steps
        The functions it is made of. An option that several have is given to each of them.
    example
        A call.
    """
    parameters: dict[str, inspect.Parameter] = {}
    texts: dict[str, str] = {}
    for step in steps:
        for key, parameter in inspect.signature(step).parameters.items():
            if key not in parameters:
                parameters[key] = parameter if not parameters else parameter.replace(kind=parameter.KEYWORD_ONLY)
        texts = parameter_texts(step.__doc__ or "") | texts
    signature = inspect.Signature(list(parameters.values()))
    does, returns = text.split("\n\nReturns\n")

    def chained(*words: Any, **options: Any) -> Any:
        bound = signature.bind(*words, **options)
        bound.apply_defaults()
        return job_of(name)(**bound.arguments).result

    chained.__name__ = chained.__qualname__ = name
    chained.__signature__ = signature  # type: ignore[attr-defined]
    options = "\n".join(f"{key}\n{texts[key]}" for key in parameters)
    chained.__doc__ = (
        f"{does}\n\nParameters\n----------\n{options}\n\nReturns\n-------\n{returns}\n\n"
        "Raises\n------\nInputError\n    If an option makes no sense.\nFileError\n    If a path does not exist.\n"
        "CredentialsError\n    If an upload belongs to it and nobody is signed in.\n\n"
        f"Examples\n--------\n>>> {example}  # doctest: +SKIP\n"
    )
    return chained


process_and_upload = _chain(
    "process_and_upload",
    """Process photos, and upload what was made of them.

The same as `process` and then `upload`, with the options of both. With `dry_run` nothing is written
and nothing sent.

Returns
uploads
    What `upload` returns.""",
    process,
    upload,
    example='process_and_upload("DCIM", user_name="jane")',
)

video_process = _chain(
    "video_process",
    """Sample videos into photos, and process those.

The same as `sample_video` and then `process` on the folder of the frames, with the options of both.
Frames of a video with a track have their positions already; another track is named as in `process`.

Returns
images
    What `process` returns.""",
    sample_video,
    process,
    example='video_process("GH010042.MP4", video_sample_distance=3)',
)

video_process_and_upload = _chain(
    "video_process_and_upload",
    """Sample videos into photos, process those, and upload what was made of them.

The same as `sample_video`, then `process`, then `upload`, with the options of all three.

Returns
uploads
    What `upload` returns.""",
    sample_video,
    process,
    upload,
    example='video_process_and_upload("GH010042.MP4", user_name="jane")',
)
