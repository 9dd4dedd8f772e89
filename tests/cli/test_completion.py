"""The shell's completion."""

import shutil
import subprocess

import pytest
from helpers.command_line import program


def completed(*words):
    """What click offers bash for these words, the last of which is unfinished."""
    line = " ".join(["mlygeo", *words])
    found = program(_MLYGEO_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words)))
    return {row.partition(",")[2] for row in found.stdout.splitlines()}


def test_completion_knows_verbs_options_and_choices():
    assert completed("sel") == {"select"}
    assert "--max-heading-difference" in completed("select", "--max-h")
    assert completed("select", "--method", "") >= {"even", "percept"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_sound(shell, tmp_path):
    script = program(_MLYGEO_COMPLETE=f"{shell}_source").stdout
    assert "_MLYGEO_COMPLETE" in script
    if shutil.which(shell):
        (tmp_path / "script").write_text(script)
        assert subprocess.run([shell, "-n", str(tmp_path / "script")]).returncode == 0
