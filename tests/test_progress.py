import io

from mlygeo import progress


def test_plain_lines_say_how_far_it_is():
    now = [0.0]
    stream = io.StringIO()
    with progress.LineProgress(stream, clock=lambda: now[0]).bar("tiles", total=4, unit="tiles") as bar:
        bar.advance()
        now[0] = 11.0
        bar.advance()
        bar.advance(2)
    lines = stream.getvalue().splitlines()
    assert lines == ["tiles: 2 of 4 tiles, 11 s left", "tiles: 4 of 4 tiles"]


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
