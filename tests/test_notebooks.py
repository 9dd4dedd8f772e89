"""The notebooks run from top to bottom without a network, and what is stored is what they show."""

import json
import re
import sys

import pytest
from conftest import ROOT

FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))
LARGEST_BYTES = 400_000


@pytest.fixture
def execute(monkeypatch):
    pytest.importorskip("nbclient", reason="notebooks need nbclient and ipykernel")
    pytest.importorskip("ipykernel", reason="notebooks need nbclient and ipykernel")
    pytest.importorskip("matplotlib", reason="pictures need mlygeo[plot]")
    monkeypatch.syspath_prepend(FOLDER)
    yield __import__("execute")
    del sys.modules["execute"]


def code(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def text_of(output):
    """What an output says, without what a picture's drawing depends on."""
    if output["output_type"] == "stream":
        return "".join(output["text"])
    return "".join(output["data"].get("text/plain", ""))


def same_in_any_pandas(text):
    """A text in which times have no zeros at their ends: pandas 3.0 shows other numbers of digits than 3.1."""
    shorter = re.sub(r"\.(\d+)(?=\+00:00)", lambda found: f".{found[1]}".rstrip("0").rstrip("."), text)
    return re.sub(r" +", " ", shorter)


@pytest.mark.filterwarnings("default")  # those of the client and its event loop; the kernel has its own
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_and_shows_what_is_stored(execute, name):
    stored = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    found = execute.executed(FOLDER / name)
    for before, now in zip(code(stored), code(found), strict=True):
        was, is_now = ([same_in_any_pandas(text_of(output)) for output in cell["outputs"]] for cell in (before, now))
        assert was == is_now, f"run 'make notebooks' and look at what changed below: {''.join(before['source'])}"


@pytest.mark.filterwarnings("default")
def test_a_notebook_beside_the_clone_finds_the_package(execute, tmp_path):
    """In its folder is one with the name of the package, which Python would import as an empty one."""
    import nbformat

    (tmp_path / "mlygeo" / "mlygeo").mkdir(parents=True)
    cell = nbformat.v4.new_code_cell("import mlygeo\nmlygeo.read_frame.__name__")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "beside.ipynb")
    found = execute.executed(tmp_path / "beside.ipynb")
    assert [text_of(output) for each in code(found) for output in each["outputs"]] == ["'read_frame'"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_stored_notebook_is_tidy(name):
    path = FOLDER / name
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert path.stat().st_size < LARGEST_BYTES
    assert any(output for cell in code(notebook) for output in cell["outputs"])
    assert any("image/png" in output.get("data", {}) for cell in code(notebook) for output in cell["outputs"])
    assert set(notebook["metadata"]["language_info"]) == {"name"}
    for cell in code(notebook):
        assert cell["execution_count"] is None
        for output in cell["outputs"]:
            assert output["output_type"] in {"display_data", "execute_result"}, text_of(output)
            text = text_of(output) + "".join(output["data"].get("text/html", ""))
            assert not re.search(
                r"(?<![\w.<])/(?!(?:td|th|tr|p|div|table|tbody|thead|style)>)\w+/\w+|MLY\||127\.0\.0\.1", text
            ), text


def test_there_is_a_notebook_for_each_question():
    assert [name[:2] for name in NOTEBOOKS] == ["01", "02", "03", "04", "05", "06", "07", "08", "09"]
