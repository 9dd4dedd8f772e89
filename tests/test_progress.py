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
