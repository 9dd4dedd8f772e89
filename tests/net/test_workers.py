"""The queue that workers take from, and put back what is to be tried again."""

import threading
import time

from helpers.processes import HANGS_S, wait_for

from mlygeo.net.workers import WaitingLine


def test_a_line_is_bounded_and_keeps_what_waits():
    line, taken, put = WaitingLine(capacity=3), [], []

    def fill():
        for number in range(6):
            line.put(number)
            put.append(number)

    filler = threading.Thread(target=fill)
    filler.start()
    wait_for(lambda: len(put) == 3)
    time.sleep(0.1)
    assert put == [0, 1, 2]
    first, again = line.get(), time.monotonic()
    line.again(first, after=1.5)  # it stays in the line: no room for another
    time.sleep(0.05)
    assert put == [0, 1, 2]
    while len(taken) < 6:
        taken.append((line.get(), time.monotonic()))
        line.done()
    filler.join()
    line.wait()
    assert [number for number, _ in taken] == [1, 2, 3, 4, 5, 0]
    assert taken[-1][1] - again >= 1.5
    assert line.unsettled == 0


def test_a_closed_line_lets_everyone_go():
    line, ended = WaitingLine(capacity=1), []
    line.put("a")
    line.get()
    waiting = [
        threading.Thread(target=lambda: ended.append(line.get())),
        threading.Thread(target=lambda: ended.append(line.put("b"))),
        threading.Thread(target=lambda: ended.append(line.wait())),
    ]
    for thread in waiting:
        thread.start()
    time.sleep(0.05)
    line.close()
    for thread in waiting:
        thread.join(HANGS_S)
    assert sorted(map(str, ended)) == ["False", "None", "None"]
