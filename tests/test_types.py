"""
What the type checkers of a user and of the project see.

mypy (strict) and pyright read a script that calls every public function, in an environment as a user
has it; and a script of wrong calls, made here from the signatures, each of which they must refuse.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from conftest import ROOT

import mlygeo
from mlygeo.pipelines import options

pytest.importorskip("mypy", reason="the type checkers are in the dependency group lint")
pytest.importorskip("pyright", reason="the type checkers are in the dependency group lint")

SCRIPT = ROOT / "tests" / "user_script" / "every_function.py"
OPTIONS = sorted((ROOT / "mlygeo" / "pipelines" / "options").glob("*.py"))
CACHE = ROOT / ".mypy_cache"

VERSIONS = ["3.11", "3.14"]
"""The oldest and the newest Python that mlygeo promises, whichever runs the checkers."""

FUNCTIONS = [name for name in mlygeo.__all__ if callable(getattr(mlygeo, name))]

ABOVE = """\
from typing import Any

import mlygeo

class Wrong: ...

anything: Any = None
"""


@dataclasses.dataclass(frozen=True)
class Wrong:
    """A call that the type checkers must refuse, and what they say of it."""

    call: str
    mypy: str
    pyright: str


def no(found):
    """Fail with all that was found, a line each."""
    __tracebackhide__ = True
    if found := list(found):
        pytest.fail("\n".join(found), pytrace=False)


def required(name):
    """The arguments that a function cannot be called without."""
    taken = inspect.signature(getattr(mlygeo, name)).parameters.values()
    return [word.name for word in taken if word.default is word.empty and word.kind is not word.VAR_KEYWORD]


def call(name, option, value):
    others = [word for word in required(name) if word != option]
    return f"mlygeo.{name}({', '.join([f'{word}=anything' for word in others] + [f'{option}={value}'])})"


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    """A folder of a user's, and what the type checkers say of a script in it: for each line a list of messages."""
    folder = tmp_path_factory.mktemp("user")

    def run(*words):
        # The checkers find the package by themselves, as an install in place must let them.
        found = subprocess.run([sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, timeout=280)
        assert found.returncode in {0, 1}, found.stdout + found.stderr
        return found.stdout

    def mypy(name, version=None):
        said = defaultdict(list)
        settings = ("--strict", "--no-error-summary", "--hide-error-context", "--cache-dir", str(CACHE / "user_script"))
        settings += ("--python-version", version) if version else ()
        for line in run("mypy", *settings, name).splitlines():
            if match := re.match(rf"{name}:(\d+): (\w+: .*)", line):
                said[int(match[1])].append(match[2])
        return said

    def pyright(name, version=None):
        said = defaultdict(list)
        settings = ("--pythonversion", version) if version else ()
        for each in json.loads(run("pyright", "--pythonpath", sys.executable, *settings, "--outputjson", name))[
            "generalDiagnostics"
        ]:
            text = f"{each['severity']}: {each['message']}  [{each.get('rule')}]"
            said[each["range"]["start"]["line"] + 1].append(text)
        return said

    return folder, {"mypy": mypy, "pyright": pyright}


@pytest.fixture(scope="module")
def seen(user):
    """The signature of every public function, as mypy shows it."""
    folder, checkers = user
    (folder / "reveal.py").write_text(ABOVE + "".join(f"reveal_type(mlygeo.{name})\n" for name in FUNCTIONS))
    said = checkers["mypy"]("reveal.py")
    first = ABOVE.count("\n") + 1
    return {name: said[first + row][0].split('"', 1)[1].rsplit('"', 1)[0] for row, name in enumerate(FUNCTIONS)}


def test_every_public_function_is_called():
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"))
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    no(name for name in FUNCTIONS if not any(f"{each}.".startswith(f"mlygeo.{name}.") for each in called))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_the_script_passes(user, checker, version):
    folder, checkers = user
    shutil.copy(SCRIPT, folder)
    said = checkers[checker](SCRIPT.name, version)
    no(f"{line}: {text}" for line, texts in said.items() for text in texts if text.startswith("error"))


def test_frames_are_frames(seen):
    """Nothing public takes or returns Any but facts, which are JSON."""
    opaque = {name: text for name, text in seen.items() if re.search(r"\bAny\b", text.replace("dict[str, Any]", ""))}
    no(f"{name}: {text}" for name, text in opaque.items())
    frames = [name for name in FUNCTIONS if "GeoDataFrame" in str(inspect.signature(getattr(mlygeo, name)))]
    no(name for name in frames if "geopandas.geodataframe.GeoDataFrame" not in seen[name])


def parts(text):
    """Split at the commas that are in no brackets."""
    found, depth = [""], 0
    for sign in text:
        depth += (sign in "[(") - (sign in "])")
        if sign == "," and not depth:
            found.append("")
        else:
            found[-1] += sign
    return [part.strip() for part in found]


def wrong_calls(name, signature):
    """Yield an unknown option, each option with a wrong type, and each closed choice misspelt."""
    if signature.startswith("Overload("):
        unknown = wrong_type = ("No overload variant", "No overloads for")
        kinds = {}
    else:
        unknown = ("Unexpected keyword argument", "No parameter named")
        wrong_type = ("incompatible type", "[reportArgumentType]")
        taken = parts(signature[signature.index("(") + 1 : signature.rindex(") ->")])
        kinds = dict(part.split(": ", 1) for part in taken if ": " in part)
    yield Wrong(call(name, "no_such_option", "1"), *unknown)
    for option in inspect.signature(getattr(mlygeo, name)).parameters:
        yield Wrong(call(name, option, "Wrong()"), *wrong_type)
        kind = kinds.get(option, "")
        if "Literal['" in kind and not re.search(r"\bstr\b", kind):
            several = re.search(r"\w\[[^\]]*Literal\['", kind)
            value = '["no_such_value"]' if several else '"no_such_value"'
            yield Wrong(call(name, option, value), *wrong_type)


@pytest.mark.parametrize("checker", ["mypy", "pyright"])
def test_wrong_calls_are_errors(user, seen, checker):
    folder, checkers = user
    calls = [wrong for name in FUNCTIONS for wrong in wrong_calls(name, seen[name])]
    assert len(calls) > 10 * len(FUNCTIONS)
    (folder / "wrong.py").write_text(ABOVE + "".join(f"{wrong.call}\n" for wrong in calls))
    said = checkers[checker]("wrong.py")
    missed = [
        wrong.call
        for line, wrong in enumerate(calls, ABOVE.count("\n") + 1)
        if not any(text.startswith("error") and getattr(wrong, checker) in text for text in said[line])
    ]
    no(missed)


def test_a_step_reads_every_option(tmp_path):
    """Without its fields, a group lacks what the steps read of it; what nobody misses is an option that nobody takes."""
    fields, checks, shadows = set(), set(), []
    for path in OPTIONS:
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines(keepends=True)
        for kind in (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)):
            for node in kind.body:
                if isinstance(node, ast.AnnAssign):
                    fields.add((kind.name, node.target.id))
                    lines[node.lineno - 1] = lines[node.lineno - 1].replace(node.target.id, f"{node.target.id}_", 1)
                elif isinstance(node, ast.FunctionDef) and node.name == "__post_init__":
                    checks |= {(path.name, line) for line in range(node.lineno, node.end_lineno + 1)}
        without = tmp_path / path.name
        without.write_text("".join(lines), encoding="utf-8")
        shadows += ["--shadow-file", str(path), str(without)]
    found = subprocess.run(
        [sys.executable, "-m", "mypy", *shadows, "--cache-dir", str(CACHE / "options")],
        cwd=ROOT, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    read = set()
    for file, line, kind, name in re.findall(
        r'^(\S+?):(\d+): error: "(\w+)" has no attribute "(\w+)"', found.stdout, re.MULTILINE
    ):
        # To check an option is not to use it.
        path = Path(file)
        if path.parent.name != "options" or (path.name, int(line)) not in checks:
            read.add((kind, name))
    assert fields
    no(sorted(f"{kind}.{name} is read by no step" for kind, name in fields - read))
    assert {kind for kind, _ in fields} <= set(vars(options))
