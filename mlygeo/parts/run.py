"""
Running a plan: the tasks whose part is not there, in a loop, in processes here, or through any executor.

What each way has in common is `run`, which writes one part, whoever calls it. Its result are counts, not rows.
"""

from __future__ import annotations

import importlib
import logging
import threading
import time
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mlygeo import arrays
from mlygeo.errors import FileError, InputError, MlygeoError
from mlygeo.extras import missing
from mlygeo.parts import plan as plans
from mlygeo.processes import MOST_DEATHS, Processes
from mlygeo.progress import Progress, counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Executor

    from mlygeo.parts.plan import Plan
    from mlygeo.progress import Bar

log = logging.getLogger("mlygeo.parts")

WAIT_S = 10.0
"""Seconds in which a scheduler must answer."""


class Step(Protocol):
    """
    A module whose tasks are run, such as `mlygeo.parts.coverage`.

    Where its parts are not frames with `mlygeo.parts.plan.COUNTS` in their attributes, it has a function `counts_of`
    too: what was counted in a part that is there, by its path; None where the part has to be written again.
    """

    @staticmethod
    def task(made: Plan, number: int) -> dict[str, Any]:
        """
        Write the part of a task, and return what is counted in it.

        Parameters
        ----------
        made
            The plan.
        number
            Number of the task.

        Raises
        ------
        FileError
            If an input cannot be read, or the part not be written.
        """


def run(folder: str, number: int, threads: int | None = None) -> dict[str, Any]:
    """
    Write the part of a task, unless it is there, and return what is counted in it.

    Parameters
    ----------
    folder
        The folder of the plan; on a disk that all processes see.
    number
        Number of the task.
    threads
        Threads that may run side by side; None for as many as there are processors.

    Returns
    -------
    counts
        "number", "rows", "peak", the most memory in bytes that the process has had (0 where that is not known), and
        "seconds", the processor time of this task.
    """
    made = plans.read(Path(folder))
    step: Step = plans.step_of(made)
    started = time.thread_time()
    with arrays.most_threads(threads), quiet():
        counts = None
        if made.path(number).exists():
            counts = plans.counts_in(made, number)
        if counts is None:
            counts = step.task(made, number)
    return {"number": number, "rows": counts["rows"], "peak": peak(), "seconds": time.thread_time() - started}


def peak() -> int:
    """Return the most memory in bytes that this process has had; 0 where the system does not tell."""
    # Not getrusage, whose number a process inherits from the one that started it.
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    return 0


def do(
    made: Plan,
    numbers: Sequence[int],
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    client: Any = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
    label: str = "parts",
) -> None:
    """
    Do tasks of a plan: one after another in this process, unless processes or an executor are named.

    Parameters
    ----------
    made
        The plan.
    numbers
        Numbers of the tasks to do.
    workers
        Number of processes on this machine.
    executor
        Any executor of `concurrent.futures`; it is not shut down.
    client
        A Dask client; it is not closed.
    scheduler
        Address of a Dask scheduler.
    progress
        Where progress is shown.
    label
        What is said to be done there.

    Raises
    ------
    DependencyError
        If Dask is not installed.
    FileError
        If a part cannot be made, or whoever should make it is gone.
    """
    display, total = progress or Progress(), len(made.tasks)
    with display.bar(label, total=total, unit="parts") as bar:
        if done := total - len(numbers):
            bar.advance(done)
        if not numbers:
            return
        folder = str(made.folder.absolute())
        if client is not None or scheduler is not None:
            with _dask(client, scheduler) as pool:
                _through(pool, made, folder, numbers, bar)
        elif executor is not None:
            _through(executor, made, folder, numbers, bar)
        elif workers is not None and workers > 1:
            _in_processes(made, folder, numbers, workers, bar)
        else:
            for number in numbers:
                run(folder, number)
                bar.advance()


def _through(executor: Executor, made: Plan, folder: str, numbers: Sequence[int], bar: Bar) -> None:
    """
    Do tasks through an executor that somebody else has made; the largest first, so that none is left for last.

    A scheduler also blames a task that only waited at a worker which another one ended. Tasks that are blamed are
    therefore done again at the end, one at a time: the one that ends its worker then is the one to name.
    """
    ordered = sorted(numbers, key=lambda number: -made.tasks[number].images)
    if blamed := _side_by_side(executor, made, folder, ordered, bar):
        log.info("%s ended with their worker; they are done again, one at a time", counted(len(blamed), "part"))
    for number in blamed:
        _side_by_side(executor, made, folder, [number], bar, alone=True)


def _side_by_side(
    executor: Executor, made: Plan, folder: str, numbers: Sequence[int], bar: Bar, *, alone: bool = False
) -> list[int]:
    """Do tasks through an executor, and return those that ended with their worker; `alone`, that is an error."""
    futures: dict[Future[Any], int] = {}
    blamed: list[int] = []
    try:
        for number in numbers:
            futures[executor.submit(run, folder, number, 1)] = number
        waiting = set(futures)
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                try:
                    future.result()
                except Exception as error:
                    if alone or not _is_killed(error):
                        raise
                    blamed.append(futures[future])
                else:
                    bar.advance()
    except MlygeoError:
        raise
    except Exception as error:
        failed = next((number for future, number in futures.items() if future.done() and _is_of(future, error)), None)
        raise _broken(made, failed, error) from error
    finally:
        for future in futures:
            future.cancel()
    return blamed


def _is_killed(error: BaseException) -> bool:
    """Tell whether a scheduler gave a task up because its workers ended."""
    return type(error).__name__ == "KilledWorker"


def _is_of(future: Future[Any], error: BaseException) -> bool:
    return not future.cancelled() and future.exception() is error


def _broken(made: Plan, number: int | None, error: BaseException) -> MlygeoError:
    """Return one line for what schedulers and pools say when a worker or they themselves are gone."""
    kind = type(error).__name__
    kept = f"{len(made.tasks) - len(made.left()):,} of {counted(len(made.tasks), 'part')} are done, and kept"
    again = "run the same command again to go on"
    if _is_killed(error) and number is not None:
        most = getattr(getattr(error, "last_worker", None), "memory_limit", None)
        return _too_often(made, number, deaths=int(getattr(error, "allowed_failures", 3)) + 1, most=most)
    if isinstance(error, BrokenExecutor):
        return FileError(
            f"a worker of the executor was ended from outside, and the executor with it; {kept}", hint=again
        )
    if isinstance(error, CancelledError) or kind in {
        "CommClosedError", "FutureCancelledError", "FuturesCancelledError", "ClosedClientError", "TimeoutError",
        "KilledWorker",
    }:  # fmt: skip
        said = " ".join(str(error).split())[:100]
        return FileError(f"the scheduler or its workers are gone ({said or kind}); {kept}", hint=again)
    where = "" if number is None else f" in part {number + 1:,} of {len(made.tasks):,}"
    return FileError(f"{kind}{where}: {' '.join(str(error).split())[:300]}; {kept}", hint=again)


def _too_often(made: Plan, number: int, *, deaths: int = MOST_DEATHS, most: int | None = None) -> MlygeoError:
    """Return the error for a part that ended its worker again and again, which may have so many bytes at `most`."""
    task, done = made.tasks[number], len(made.tasks) - len(made.left())
    kept = f"{counted(done, 'part')} {'is' if done == 1 else 'are'} done, and kept"
    need = f"{task.bytes / 1e6:,.0f} MB for {counted(task.images, 'image')} in reach"
    need += f", and a worker may have {most / 1e6:,.0f} MB" if most else ""
    return FileError(
        f"part {number + 1:,} of {len(made.tasks):,} (cell {task.cell or 'of the world'}) ended its worker"
        f" {deaths} times; it needs about {need}; {kept}",
        hint="run the same command again with more memory for each worker, or fewer workers",
    )


@contextmanager
def _dask(client: Any, scheduler: str | None) -> Iterator[Executor]:
    """Yield the executor of a Dask client, or of a new one for the address of a scheduler."""
    if client is not None:
        if not hasattr(client, "get_executor"):
            raise InputError(f"`client` takes a Dask client, not {type(client).__name__}")
        yield client.get_executor(pure=False)
        return
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError as error:
        raise missing("`scheduler` needs Dask", "scale") from error
    # What a lost connection leaves behind is a traceback in each of these; the error below says it in one line.
    for name in ("distributed", "distributed.client", "distributed.comm", "distributed.core", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        made = distributed.Client(scheduler, timeout=WAIT_S, set_as_default=False)
    except (OSError, ValueError, TypeError, TimeoutError) as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise FileError(
            f"the scheduler at {scheduler} does not answer: {said}",
            hint="is it running, and is this the address that it printed, such as tcp://10.0.0.1:8786?",
        ) from error
    try:
        if not made.nthreads():
            log.warning("the scheduler at %s has no workers yet; the parts wait for some", scheduler)
        yield made.get_executor(pure=False)
    finally:
        with suppress(Exception):
            made.close(timeout=1)


def _in_processes(made: Plan, folder: str, numbers: Sequence[int], workers: int, bar: Bar) -> None:
    """Do tasks in processes on this machine; the largest first, so that none is left for last."""
    threads = max(1, arrays.workers() // min(workers, len(numbers)))
    ordered = sorted(numbers, key=lambda number: -made.tasks[number].images)
    task = partial(run, folder, threads=threads)
    try:
        with Processes(workers, threads=threads) as processes:
            for _ in processes.each(task, ordered, too_often=partial(_too_often, made)):
                bar.advance()
    except MlygeoError:
        raise
    except Exception as error:
        raise _broken(made, None, error) from error


_silenced = threading.Lock()
_at_work: list[int] = []


@contextmanager
def quiet() -> Iterator[None]:
    """Say nothing of a part that is said of the whole, or counted."""
    logger = logging.getLogger("mlygeo")
    with _silenced:
        _at_work.append(logger.level)
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        with _silenced:
            level = _at_work.pop()  # the first is that of before, whoever ends last
            if not _at_work:
                logger.setLevel(level)
