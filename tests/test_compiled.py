"""Machine code that is made once and loaded without Numba, against the functions in Python that it is made of."""

import importlib.util
import json
import os
import subprocess
import sys
import types

import numpy as np
import pytest

from mlygeo import compiled

pytestmark = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="Numba is not installed")

SOURCE = """
import numpy as np
from mlygeo.compiled import Library

CODE = Library(__file__)

@CODE.function("f8", returns="f8")
def half(x):
    return x / 2

@CODE.function("f8[:]", "i4[:,:]", "i8", "u1", "f8[:]", returns="i8")
def fill(values, table, number, flag, out):
    total = 0
    for at in range(len(values)):
        out[at] = np.floor(half(values[at])) + np.fmod(values[at], 180.0) if flag else -1.0
    for line in range(table.shape[0]):
        for column in range(table.shape[1]):
            total += table[line, column] * number
    return total

@CODE.function("f8[:]", "f8")
def divide(values, by):
    for at in range(len(values)):
        values[at] = values[at] / by
"""

ALLOCATES = """
import numpy as np
from mlygeo.compiled import Library

CODE = Library(__file__)

@CODE.function("f8[:]", "i8", returns="f8")
def spread(values, count):
    some = np.empty(count)
    for at in range(count):
        some[at] = values[at % len(values)]
    return some.sum()
"""


def module(folder, source=SOURCE, name="kernels_of_a_test"):
    path = folder / f"{name}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def answers(made):
    values, out = np.array([7.9, -3.0, 1000.5]), np.zeros(3)
    table = np.arange(6, dtype=np.int32).reshape(2, 3)
    found = made.fill(values, table, 4, True, out)
    made.divide(values, 2)
    return found, out.tolist(), values.tolist()


EXPECTED = (60, [3 + 7.9, -2 - 3.0, 500 + 100.5], [3.95, -1.5, 500.25])


def test_machine_code_gives_the_answers_of_the_functions(tmp_path):
    made = module(tmp_path)
    assert not made.CODE.is_made()
    assert answers(made) == EXPECTED
    assert made.CODE.is_made()
    assert made.half(5.0) == 2.5


def test_another_process_loads_it_without_numba(tmp_path):
    answers(module(tmp_path))
    read = f"""
import sys, numpy as np
sys.path.insert(0, {str(tmp_path)!r})
import kernels_of_a_test as made
out = np.zeros(1)
print(made.fill(np.array([7.9]), np.ones((1, 1), dtype=np.int32), 3, 1, out), out[0], "numba" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", read], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "10.9", "False"]


@pytest.mark.parametrize("damage", [lambda content: content[:-7], lambda content: b"{}\n", lambda content: b"\xff"])
def test_a_damaged_file_is_made_again(tmp_path, damage):
    assert answers(module(tmp_path)) == EXPECTED
    (file,) = (tmp_path / "__pycache__").glob("*.machine")
    before = file.read_bytes()
    file.write_bytes(damage(before))
    assert answers(module(tmp_path)) == EXPECTED
    assert len(file.read_bytes()) == len(before)


@pytest.mark.parametrize(
    "change",
    [
        lambda head: head["functions"].update(half="mlygeo_other"),
        lambda head: head["functions"].update(half=head["functions"]["divide"]),
        lambda head: head["functions"].clear(),
        lambda head: head["needed"].append("no_such_symbol"),
    ],
    ids=["an unknown name", "the name of another function", "no names", "a symbol that is not there"],
)
def test_a_file_whose_names_are_damaged_is_made_again(tmp_path, change):
    assert answers(module(tmp_path)) == EXPECTED
    (file,) = (tmp_path / "__pycache__").glob("*.machine")
    before = file.read_bytes()
    head, _, code = before.partition(b"\n")
    said = json.loads(head)
    change(said)
    file.write_bytes(json.dumps(said).encode() + b"\n" + code)
    script = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import kernels_of_a_test as made
print(made.half(5.0))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "2.5"), done.stderr
    again = json.loads(file.read_bytes().partition(b"\n")[0])
    assert [again[name] for name in ("functions", "needed")] == [
        json.loads(head)[name] for name in ("functions", "needed")
    ]


def test_a_number_of_another_module_that_has_changed_is_compiled_anew(tmp_path, monkeypatch):
    source = SOURCE.replace("x / 2", "x / PARTS").replace("CODE =", "from numbers_of_a_test import PARTS\nCODE =")
    monkeypatch.setitem(sys.modules, "numbers_of_a_test", types.SimpleNamespace(PARTS=2))
    assert module(tmp_path, source).half(5.0) == 2.5
    monkeypatch.setitem(sys.modules, "numbers_of_a_test", types.SimpleNamespace(PARTS=4))
    assert module(tmp_path, source).half(5.0) == 1.25


def test_a_changed_function_is_compiled_anew(tmp_path):
    assert module(tmp_path).half(5.0) == 2.5
    assert module(tmp_path, SOURCE.replace("x / 2", "x / 4")).half(5.0) == 1.25
    assert len([*(tmp_path / "__pycache__").glob("*.machine")]) == 1


def test_what_numba_alone_can_load_gives_the_same_answers(tmp_path):
    assert module(tmp_path, ALLOCATES).spread(np.array([1.0, 2.0]), 5) == 7.0
    read = f"""
import sys, numpy as np
sys.path.insert(0, {str(tmp_path)!r})
import kernels_of_a_test as made
print(made.spread(np.array([1.0, 2.0]), 5), "numba" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", read], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["7.0", "True"]


@pytest.mark.parametrize(
    "values",
    [np.arange(3, dtype=np.float32), np.ones((2, 2))],
    ids=["other numbers", "two axes"],
)
def test_arrays_of_another_kind_are_refused(tmp_path, values):
    made = module(tmp_path)
    with pytest.raises(TypeError, match="f8 of 1 axes"):
        made.divide(values, 2.0)


def test_arrays_with_gaps_are_read_and_filled(tmp_path):
    """A column of a table of coordinates, one that cannot be written to, and one that is not aligned."""
    made = module(tmp_path)
    table = np.arange(8.0).reshape(4, 2)
    made.divide(table[:, 1], 2.0)
    assert table.tolist() == [[0, 0.5], [2, 1.5], [4, 2.5], [6, 3.5]]
    backwards = table[::-1, 1]
    backwards.flags.writeable = False
    packed = np.zeros(4, dtype=[("flag", "u1"), ("out", "f8")])
    total = made.fill(backwards, np.ones((2, 6), dtype=np.int32)[:, ::2], 3, 1, packed["out"])
    assert total == 18
    assert packed["out"].tolist() == [4.5, 3.5, 1.5, 0.5]
    assert table.tolist() == [[0, 0.5], [2, 1.5], [4, 2.5], [6, 3.5]]


def test_an_error_in_machine_code_is_raised(tmp_path):
    with pytest.raises(ArithmeticError, match="divide"):
        module(tmp_path).divide(np.ones(3), 0.0)


def test_nothing_is_compiled_where_numba_is_told_not_to(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    made = module(tmp_path)
    assert made.CODE.is_made()
    assert answers(made) == EXPECTED
    assert not (tmp_path / "__pycache__").exists() or not [*(tmp_path / "__pycache__").glob("*.machine")]


def test_code_that_is_called_in_another_way_is_left_to_numba(tmp_path, monkeypatch, caplog):
    caplog.set_level("DEBUG", logger="mlygeo.compiled")
    assert answers(module(tmp_path)) == EXPECTED
    assert not caplog.text
    monkeypatch.setattr(compiled, "DONE", (7,))
    assert answers(module(tmp_path)) == EXPECTED
    assert "a function fails that does not" in caplog.text
    monkeypatch.undo()
    caplog.clear()
    caplog.set_level("DEBUG", logger="mlygeo.compiled")
    monkeypatch.setattr(compiled._Parameter, "flat", lambda self, value: (
        (value.ctypes.data, *value.shape[::-1]) if self.axes else (value,)))  # fmt: skip
    assert answers(module(tmp_path)) == EXPECTED
    assert "in place of" in caplog.text


def test_code_that_takes_other_types_is_left_to_numba(tmp_path, monkeypatch, caplog):
    caplog.set_level("DEBUG", logger="mlygeo.compiled")
    monkeypatch.setitem(compiled.LLVM_TYPES, "i8", "i32")
    assert answers(module(tmp_path)) == EXPECTED
    assert "takes" in caplog.text
    assert not [*(tmp_path / "__pycache__").glob("*.machine")]


def test_versions_that_share_a_folder_keep_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    first = module(tmp_path / "one")
    second = module(tmp_path / "two", SOURCE.replace("x / 2", "x / 4"))
    assert first.half(5.0) == 2.5
    assert not second.CODE.is_made()
    assert second.half(5.0) == 1.25
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    assert len(files) == 2
    assert module(tmp_path / "one").half(5.0) == 2.5
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()} == files


def test_the_folder_of_numba_is_the_one_of_machine_code(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "own").mkdir()
    assert answers(module(tmp_path / "own")) == EXPECTED
    assert [path.name.partition(".")[0] for path in (tmp_path / "cache").iterdir()] == ["mlygeo-kernels_of_a_test"]


def test_where_no_folder_is_writable_nothing_is_compiled(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", os.devnull)
    made = module(tmp_path)
    with pytest.raises(RuntimeError, match="is writable"):
        made.half(1.0)


def test_without_numba_there_is_no_library(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ImportError):
        compiled.Library(__file__)
