"""The demo: a project with data that comes with mlygeo."""

import os
import subprocess
import sys
import zipfile

import pytest
from conftest import ROOT
from helpers.command_line import program

import mlygeo
from mlygeo.errors import FileError, MlygeoError
from mlygeo.pipelines import demonstration


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "a folder"
    found = program("demo", "-o", folder)
    assert found.returncode == 0, found.stderr
    return folder, found


def test_the_commands_can_be_typed_again(made):
    folder, found = made
    typed = [line.strip().removeprefix("mlygeo ") for line in found.stderr.splitlines() if line.startswith("  mlygeo")]
    assert [words.split()[0] for words in typed] == ["tiles", "select", "map"]
    before = mlygeo.read_frame(folder / "out" / "selection.parquet")
    assert (folder / "map.html").stat().st_size > 10_000
    for words in typed:
        again = subprocess.run([sys.executable, "-m", "mlygeo", *words.split()], cwd=folder, check=False)
        assert again.returncode == 0
    assert mlygeo.read_frame(folder / "out" / "selection.parquet").equals(before)


def test_the_function_returns_the_selection(made, tmp_path):
    selection = mlygeo.demo(output=tmp_path / "demo")
    assert selection["id"].tolist() == mlygeo.read_frame(made[0] / "out" / "selection.parquet")["id"].tolist()
    assert selection.attrs["summary"]["images"] == selection["id"].nunique()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileError, match="not an empty folder"):
        mlygeo.demo(output=tmp_path)
    with pytest.raises(FileError, match="not an empty folder"):
        mlygeo.demo(output=tmp_path / "thesis.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_what_stops_a_command_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(demonstration, "COMMANDS", ("mlygeo tiles --bbox 1,2",))
    with pytest.raises(MlygeoError, match=r"^mlygeo tiles --bbox 1,2: "):
        mlygeo.demo(output=tmp_path / "demo")


def test_the_wheel_has_the_data(tmp_path):
    """Built as `pip wheel` builds it, and run from there, without the clone."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT], check=True
    )
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    found = subprocess.run(
        [sys.executable, "-m", "mlygeo", "demo"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert (tmp_path / "mlygeo-demo" / "map.html").exists()
    where = subprocess.run(
        [sys.executable, "-c", "import mlygeo; print(mlygeo.__file__)"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert str(tmp_path / "installed") in where
