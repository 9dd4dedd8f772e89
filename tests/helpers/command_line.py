"""Verbs run inside the test's own process."""

from mlygeo import cli


def run(capsys, *arguments):
    status = cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return status, out, err
