"""The queue that workers take from, and put back what is to be tried again."""

import subprocess
import sys
import threading
import time

from helpers.processes import HANGS_S, wait_for

from mlygeo.net.workers import RetryQueue, WorkerPool


def test_a_retry_queue_is_bounded_and_keeps_what_waits():
    queue, taken, put = RetryQueue(capacity=3), [], []

    def fill():
        for number in range(6):
            queue.put(number)
            put.append(number)

    filler = threading.Thread(target=fill)
    filler.start()
    wait_for(lambda: len(put) == 3)
    time.sleep(0.1)
    assert put == [0, 1, 2]
    first, again = queue.get(), time.monotonic()
    queue.again(first, after=1.5)  # it stays in the queue: no room for another
    time.sleep(0.05)
    assert put == [0, 1, 2]
    while len(taken) < 6:
        taken.append((queue.get(), time.monotonic()))
        queue.done()
    filler.join()
    queue.wait()
    assert [number for number, _ in taken] == [1, 2, 3, 4, 5, 0]
    assert taken[-1][1] - again >= 1.5
    assert queue.unsettled == 0


def test_a_closed_retry_queue_lets_everyone_go():
    queue, ended = RetryQueue(capacity=1), []
    queue.put("a")
    queue.get()
    waiting = [
        threading.Thread(target=lambda: ended.append(queue.get())),
        threading.Thread(target=lambda: ended.append(queue.put("b"))),
        threading.Thread(target=lambda: ended.append(queue.wait())),
    ]
    for thread in waiting:
        thread.start()
    time.sleep(0.05)
    queue.close()
    for thread in waiting:
        thread.join(HANGS_S)
    assert sorted(map(str, ended)) == ["False", "None", "None"]


FEW_THREADS = """
import sys, threading
from mlygeo.net.workers import WorkerPool
started = threading.Thread.start
def start(thread, left=[int(sys.argv[1])]):
    if not left[0]:
        raise RuntimeError("can't start new thread")
    left[0] -= 1
    started(thread)
threading.Thread.start = start
pool = WorkerPool(lambda number: (number * number, threading.current_thread().name), workers=8, name="squares")
results = [result for _, result in pool.results(range(50))]
assert sorted(square for square, _ in results) == [number * number for number in range(50)]
print(len({name for _, name in results}))
"""


def test_the_work_is_done_in_the_threads_that_there_are():
    """Also in none but the caller's."""
    for allowed, most in ((0, 1), (1, 1), (3, 3)):
        ended = subprocess.run(
            [sys.executable, "-c", FEW_THREADS, str(allowed)], capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode == 0, ended.stderr
        assert 1 <= int(ended.stdout) <= most


def test_errors_of_tasks_come_as_their_results():
    pool = WorkerPool(lambda number: 1 // number, workers=2, name="shares")
    results = dict(pool.results([0, 1]))
    assert isinstance(results[0], ZeroDivisionError)
    assert results[1] == 1
