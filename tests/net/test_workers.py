"""The queue that workers take from, and put back what is to be tried again."""

import threading
import time

from helpers.processes import HANGS_S, wait_for

from mlygeo.net.workers import RetryQueue


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
