import io
import re
from contextlib import suppress

import pytest
from helpers.processes import wait_for
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo import progress
from mlygeo.arrays import in_threads


def test_plain_lines_say_how_far_it_is():
    now = [0.0]
    stream = io.StringIO()
    with progress.LineProgress(stream, clock=lambda: now[0]).bar("tiles", total=4, unit="tiles") as bar:
        bar.advance()
        now[0] = 11.0
        bar.advance()
        bar.advance(2)
    lines = stream.getvalue().splitlines()
    assert lines == ["tiles: 2 of 4 tiles, 0.2/s, 11 s left", "tiles: 4 of 4 tiles, 0.4/s"]


def test_notes_are_said_in_the_words_of_whoever_shows_them(capsys):
    stream = io.StringIO()
    progress.for_terminal(stream=stream, words=str.upper).note("six tiles")
    progress.TerminalProgress(str.upper).note("six tiles")
    assert stream.getvalue() == capsys.readouterr().err == "SIX TILES\n"


def test_no_bar_where_there_is_no_terminal(monkeypatch):
    stream = io.StringIO()
    assert isinstance(progress.for_terminal(stream=stream), progress.LineProgress)
    assert type(progress.for_terminal(stream=stream, quiet=True)) is progress.Progress
    monkeypatch.setenv("MLYGEO_NO_PROGRESS", "1")
    assert type(progress.for_terminal(stream=stream)) is progress.Progress


def test_a_bar_on_a_terminal():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    assert isinstance(progress.for_terminal(stream=Terminal()), progress.TerminalProgress)
    with progress.TerminalProgress().bar("tiles", total=2, unit="tiles") as bar:
        bar.advance()


def test_silence(capsys):
    silent = progress.Progress()
    with silent.bar("tiles", total=2) as bar:
        bar.advance()
    silent.note("hello")
    assert capsys.readouterr() == ("", "")


def test_a_line_says_what_was_brought():
    now = [0.0]
    stream = io.StringIO()
    with progress.LineProgress(stream, clock=lambda: now[0]).bar("downloading", total=4, unit="images") as bar:
        now[0] = 10.0
        bar.advance(1, 5_000_000)
        bar.advance(3, 15_000_000)
    assert stream.getvalue().splitlines() == [
        "downloading: 1 of 4 images, 5.0 MB, 0.5 MB/s, 30 s left",
        "downloading: 4 of 4 images, 20.0 MB, 2.0 MB/s",
    ]


def test_a_bar_takes_sizes():
    with progress.TerminalProgress().bar("downloading", total=2, unit="images") as bar:
        bar.advance(1, 1_000)
    with progress.Progress().bar("downloading") as bar:
        bar.advance(1, 1_000)


def shown(stream):
    return stream.getvalue().splitlines()


def test_a_bar_that_stands_still_is_shown_too():
    """While a request hangs, or a call into C goes on, a line says so every few seconds."""
    now, stream = [0.0], io.StringIO()
    with progress.LineProgress(stream, clock=lambda: now[0]).bar("tiles", total=4, unit="tiles") as bar:
        bar.advance()
        now[0] = 10.5
        wait_for(lambda: len(shown(stream)) == 1)
        now[0] = 21.0
        wait_for(lambda: len(shown(stream)) == 2)
    assert shown(stream)[:2] == ["tiles: 1 of 4 tiles, 0.1/min, 32 s left".replace("0.1/min", "5.7/min"),
                                 "tiles: 1 of 4 tiles, 2.9/min, 63 s left"]  # fmt: skip


def test_a_short_step_is_not_worth_a_line_and_a_long_one_is():
    now, stream = [0.0], io.StringIO()
    display = progress.LineProgress(stream, clock=lambda: now[0])
    with display.step("reading"):
        now[0] = 1.9
    with display.step("measuring") as step:
        now[0] = 4.0
        wait_for(lambda: len(shown(stream)) == 1)
        step.begin(200, "images")
        now[0] = 14.5
        step.advance(50)
        step.begin(None, "")
        now[0] = 30.0
        wait_for(lambda: len(shown(stream)) == 3)
    assert shown(stream) == ["measuring: 2 s", "measuring: 50 of 200 images, 4.8/s, 32 s left", "measuring: 28 s"]


@pytest.mark.parametrize(
    ("unit", "total", "done", "size", "words"),
    [
        ("tiles", 1, 1, 0, "1 of 1 tile"),
        ("tiles", 2, 1, 0, "1 of 2 tiles"),
        ("images", None, 1, 0, "1 image"),
        ("images", None, 0, 0, "0 images"),
        ("images", 2, 3, 0, "3 images"),  # the total was wrong
        ("MB", 0.1, 0.1, 100_000, "0.100 of 0.100 MB, 0.0 MB/s"),
        ("MB", 12.5, 3.1, 3_100_000, "3.1 of 12.5 MB, 0.3 MB/s, 30 s left"),
        ("MB", 0, 0.1, 100_000, "0.100 MB, 0.0 MB/s"),
        ("images", 20_000, 5_000, 0, "5,000 of 20,000 images, 500/s, 30 s left"),
        ("images", 100_000, 100, 0, "100 of 100,000 images, 10/s, 2 h 46 min left"),
        ("", 100, 10, 0, "10 of 100, 1.0/s, 90 s left".replace("90 s", "2 min")),
    ],
)
def test_the_words_of_a_count(unit, total, done, size, words):
    now, stream = [0.0], io.StringIO()
    with progress.LineProgress(stream, clock=lambda: now[0]).bar("x", total=total, unit=unit) as bar:
        now[0] = 10.0
        bar.advance(done, size)
    rates = {
        "1 of 1 tile": ", 0.1/s",
        "1 of 2 tiles": ", 0.1/s, 10 s left",
        "1 image": ", 0.1/s",
        "3 images": ", 0.3/s",
    }
    assert shown(stream)[-1] == f"x: {words}{rates.get(words, '')}"


def test_nothing_to_do_says_nothing_and_what_breaks_off_is_not_done():
    stream = io.StringIO()
    with progress.LineProgress(stream).bar("tiles", total=0, unit="tiles"):
        pass
    assert shown(stream) == []
    with suppress(ValueError), progress.LineProgress(stream).bar("x", total=9, unit="tiles") as bar:
        bar.advance(3)
        raise ValueError
    assert shown(stream) == ["x: 3 of 9 tiles"]


def test_what_was_there_already_says_nothing_about_the_time_left():
    now, stream = [0.0], io.StringIO()
    with progress.LineProgress(stream, clock=lambda: now[0]).bar("downloading", total=2000, unit="images") as bar:
        bar.advance(1000)  # found on the disk
        for second in range(1, 201):
            now[0] = float(second)
            bar.advance()
    assert shown(stream)[-1] == "downloading: 1,200 of 2,000 images, 1.0/s, 13 min left"


@settings(max_examples=50)
@given(st.floats(0, 1e12), st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e9), st.floats(0, 1e5)), max_size=8))
def test_never_more_than_all_and_never_less_than_no_time(total, moves):
    now, stream = [0.0], io.StringIO()
    with progress.LineProgress(stream, clock=lambda: now[0]).bar("x", total=total, unit="images") as bar:
        for n, size, seconds in moves:
            now[0] += seconds
            bar.advance(n, size)
    for line in shown(stream):
        assert "-" not in line
        if found := re.match(r"x: ([\d,]+) of ([\d,]+) ", line):
            assert int(found[1].replace(",", "")) <= int(found[2].replace(",", ""))


def test_bars_within_bars_on_a_terminal():
    display = progress.TerminalProgress()
    with display.step("measuring") as step, display.bar("tiles", total=2, unit="tiles") as bar:
        step.begin(10, "images")
        bar.advance(1, 1000)
        with display.bar("more") as more:
            more.advance()
        step.advance(5)
    with display.bar("again", total=1) as bar:
        bar.advance()


def test_steps_are_shown_on_the_display_of_their_run():
    now, stream = [0.0], io.StringIO()
    display = progress.LineProgress(stream, clock=lambda: now[0])

    @progress.working("computing")
    def compute():
        now[0] += 3
        in_threads(lambda start, stop: None, 100, 10, "rows")

    compute()
    with progress.running():
        compute()
    assert shown(stream) == []
    with progress.running(display):
        compute()
        with progress.running():  # a function within another one shows its steps there too
            compute()
    compute()
    assert shown(stream) == ["computing: 0 of 100 rows"] * 2


def test_what_a_run_leaves_behind():
    assert progress.Run().left_behind() == "nothing was written"
    with progress.running() as run:
        progress.wrote()  # state of a run, which is not a result
        assert run.left_behind() == "nothing was written"
        with progress.writing():
            progress.wrote()
        assert run.left_behind() == "one file is written, the rest not: the same command writes all of them"
        for _ in range(2):
            progress.keep("the tiles fetched so far are kept")
        assert run.left_behind() == (
            "the tiles fetched so far are kept, one file is written, the rest not: the same command goes on from there"
        )
    progress.keep("nobody asks")
