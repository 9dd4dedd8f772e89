"""Images asked for by id, many in a request, several requests at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from mlygeo.errors import ServiceError
from mlygeo.net.workers import WorkerPool
from mlygeo.providers.images import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mlygeo.keys import Key
    from mlygeo.net.sessions import JsonSession

K = TypeVar("K", bound="Key")


def batches(
    session: JsonSession,
    parts: Iterable[list[K]],
    ask: Callable[[list[K]], Batch],
    *,
    name: str,
    final: tuple[type[ServiceError], ...] = (),
) -> Iterator[Batch]:
    """
    Yield a batch for each part of the ids, as they come; of a part that failed all images are missing.

    Parameters
    ----------
    session
        The session that asks.
    parts
        The ids of one request each.
    ask
        Makes a request.
    name
        What the requests are called in the names of threads.
    final
        Errors that end everything, beside those that end the session.

    Raises
    ------
    ServiceError
        Those, and the error that ended the session.
    """
    pool = WorkerPool[list[K], Batch](ask, workers=session.workers, name=name)
    for some, result in pool.results(parts):
        if isinstance(result, Batch):
            yield result
        elif isinstance(result, ServiceError) and not isinstance(result, final) and session.ended is None:
            yield Batch(missing=dict.fromkeys(some, str(result)))
        else:
            raise session.ended or result
