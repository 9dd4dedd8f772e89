"""
The rules of the house, which no linter knows: see CONTRIBUTING and `make lint` for the others.

Each names who may, never who may not: a new file, folder, function or group is under them all from its first line.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from functools import cache

import grimp
import networkx as nx
import pytest
from conftest import PACKAGE, ROOT
from helpers.unix import needs_unix

import mlygeo
from mlygeo.cli import options as verb_options
from mlygeo.cli.verbs import VERBS
from mlygeo.pipelines import options

FILES = sorted(PACKAGE.rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

NETWORK = {
    "aiohttp", "ftplib", "http", "httpx", "requests", "smtplib", "socket", "socketserver", "ssl", "urllib.request",
    "urllib3", "websockets", "xmlrpc",
}  # fmt: skip
"""Modules that reach another machine."""

MAY_REACH_OUT = {"net", "providers", "osm"}
MAY_SERVE = {"standin"}
MAY_HAND_WORDS_ON = {"cli"}
"""Where the words of a command line become the options of a call."""

WRITTEN_OPTIONS = "mlygeo/pipelines/arguments.py: function(**given)"
"""Where options that are written in a file, such as a lock, become those of a call."""

MAY_HAND_ON = {"frames"}
"""Doors to what lies in other files; beside them only the __init__ of a folder is one, to what is in it."""

HELP_MAY_LOAD = {"click", "lazy_loader", "mlygeo"}


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def room(path):
    """The folder or file right below mlygeo/ that a file is in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def place(path, node):
    return f"{path.relative_to(PACKAGE.parent)}:{node.lineno}"


@cache
def nodes(path):
    return list(ast.walk(tree(path)))


def functions(path):
    return [node for node in nodes(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def dotted(node):
    """The name that an expression is, such as `np.lexsort`; empty where it is none."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def no(found):
    """Fail with all that was found, a line each."""
    __tracebackhide__ = True
    if found := list(found):
        pytest.fail("\n".join(map(str, found)), pytrace=False)


def statements(function):
    """What a function does: its body without the docstring."""
    body = function.body
    described = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    return body[1:] if described else body


def parameters(function):
    given = function.args
    return [*given.posonlyargs, *given.args, *given.kwonlyargs]


# Files -------------------------------------------------------------------------


def test_no_file_hides_behind_an_underscore():
    """The underscore is for names in a file: a rule that spares names with one would spare the whole file."""
    hidden = [
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.name.startswith("_")
        and not re.fullmatch(r"__(init|main)__\.pyi?|__pycache__", path.name)
        and path.parent.name != "__pycache__"
    ]
    no(hidden)


def test_no_two_files_import_each_other_in_a_circle():
    """Imports inside functions and those for the type checker alone count, too."""
    graph = grimp.build_graph("mlygeo", cache_dir=None)
    assert len(graph.modules) >= len(FILES)
    imports = nx.DiGraph(
        (module, of) for module in graph.modules for of in graph.find_modules_directly_imported_by(module)
    )
    no(" <-> ".join(sorted(circle)) for circle in nx.strongly_connected_components(imports) if len(circle) > 1)


def imported(node):
    """The modules that a statement or a call imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    if isinstance(node, ast.Call) and dotted(node.func).endswith(("import_module", "__import__")):
        return [word.value for word in node.args[:1] if isinstance(word, ast.Constant)]
    return []


def test_the_network_is_reached_by_those_who_may():
    found = [
        f"{place(path, node)} imports {name}"
        for path in FILES
        if room(path) not in MAY_REACH_OUT | MAY_SERVE
        for node in nodes(path)
        for name in imported(node)
        if any(name == module or name.startswith(f"{module}.") for module in NETWORK)
    ]
    no(found)


def test_what_a_rule_forbids_is_not_allowed_again():
    """No comment and no setting spares part of the package an unused option, or a missing docstring."""
    spared = re.compile(r"#\s*(?:ruff:\s*)?noqa(?::.*\b(?:ARG001|ARG005|F401|F841|D1\d\d)\b|\s*$)")
    found = [
        f"{path.relative_to(PACKAGE.parent)}:{number}: {line.strip()}"
        for path in FILES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if spared.search(line)
    ]
    no(found)
    lint = PROJECT["tool"]["ruff"]["lint"]
    assert lint["select"] == ["ALL"]
    codes = set(lint["ignore"])
    for pattern, ignored in lint["per-file-ignores"].items():
        if pattern.split("/")[0] not in {"tests", "examples", "notebooks"}:
            codes |= set(ignored)
    spared = {code for code in codes if re.match(r"(ARG|F\d|D1|D4?1[67])|[A-Z]$", code)} - {"D105"}  # magic methods
    no(spared)
    assert PROJECT["tool"]["numpydoc_validation"]["exclude"] == [r"\._"]


def test_every_public_name_has_a_docstring():
    """The linter takes a name that is not in `__all__` for a private one."""

    def bare(node, name):
        for each in node.body:
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not each.name.startswith(
                "_"
            ):
                again = {"overload", "setter", "deleter"} & {
                    dotted(word).split(".")[-1] for word in each.decorator_list
                }
                if not ast.get_docstring(each) and not again:
                    yield f"{name}:{each.lineno}: {each.name}"
                if isinstance(each, ast.ClassDef):
                    yield from bare(each, name)

    no(found for path in FILES for found in bare(tree(path), path.relative_to(PACKAGE.parent)))
    no(path.relative_to(PACKAGE.parent) for path in FILES if not ast.get_docstring(tree(path)))


# Names -------------------------------------------------------------------------


def ours(path):
    """The names in a file that are imported from the package, and where each is from."""
    names = {}
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "mlygeo":
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_no_name_only_hands_on_another():
    """Whoever needs a name imports it from where it is made; only the door of a folder shows what is inside."""
    found = []
    for path in FILES:
        names = ours(path)
        inside = ".".join(path.parent.relative_to(PACKAGE.parent).parts) if path.name == "__init__.py" else None
        for node in tree(path).body:
            where = place(path, node)
            value = getattr(node, "value", None)
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(value, ast.Name | ast.Attribute):
                root = dotted(value).split(".")[0]
                if root in names:
                    found.append(f"{where}: {ast.unparse(node)}")
            if isinstance(node, ast.Assign) and dotted(node.targets[0]) == "__all__":
                listed = ast.literal_eval(value) if isinstance(value, ast.List | ast.Tuple) else []
                found += [
                    f"{where}: __all__ has {name}, which {names[name].rpartition('.')[0]} makes"
                    for name in listed
                    if name in names and not (inside and names[name].startswith(f"{inside}."))
                    if room(path) not in MAY_HAND_ON
                ]
            if isinstance(node, ast.FunctionDef) and (called := _only_called(node)):
                root = dotted(called.func).split(".")[0]
                if root in names:
                    found.append(f"{where}: {node.name}() only calls {ast.unparse(called.func)}()")
    no(found)


def _only_called(function):
    """The call that is all a function does, with just its own parameters; None where it does more."""
    does = [node for node in statements(function) if not isinstance(node, ast.Import | ast.ImportFrom)]
    if len(does) != 1 or not isinstance(does[0], ast.Return) or not isinstance(does[0].value, ast.Call):
        return None
    called = does[0].value
    handed = [word for word in called.args if isinstance(word, ast.Name)]
    named = [word for word in called.keywords if isinstance(word.value, ast.Name) and word.value.id == word.arg]
    if len(handed) < len(called.args) or len(named) < len(called.keywords) or function.decorator_list:
        return None
    same = sorted([word.id for word in handed] + [word.arg for word in named])
    return called if same == sorted(word.arg for word in parameters(function)) else None


def test_no_function_stands_twice():
    """The same statements in two places, whatever they are called, are one function with one name."""
    found = defaultdict(list)
    for path in FILES:
        for function in functions(path):
            body = statements(function)
            if sum(1 for node in body for _ in ast.walk(node)) >= 12:  # a line or more
                found[ast.dump(function.args), *map(ast.dump, body)].append(f"{place(path, function)} {function.name}")
    no([" and ".join(places) for places in found.values() if len(places) > 1])


# Options -----------------------------------------------------------------------


def groups():
    """The classes of options."""
    files = [
        importlib.import_module(f"{options.__name__}.{file.name}") for file in pkgutil.iter_modules(options.__path__)
    ]
    found = [
        kind
        for file in files
        for kind in vars(file).values()
        if isinstance(kind, type) and kind.__module__ == file.__name__
    ]
    assert set(found) == set(options.GROUPS)
    for kind in found:
        # A group becomes a dataclass when the first of its kind is made.
        with contextlib.suppress(TypeError):
            kind()
    return found


def public():
    """The functions of the pipelines that users call."""
    found = {name: getattr(mlygeo, name) for name in mlygeo.__all__}
    return {name: each for name, each in found.items() if each.__module__.startswith("mlygeo.pipelines.")}


def test_options_travel_by_name():
    """A dict of options hides one that nobody takes from the linter, and one that does not exist from mypy."""
    found = []
    for path in FILES:
        passed = set()
        for node in nodes(path):
            if isinstance(node, ast.Call) and dotted(node.func) in {"locals", "vars"} and not node.args:
                found.append(f"{place(path, node)}: {ast.unparse(node)}")
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and node.args.kwarg:
                kind = ast.unparse(node.args.kwarg.annotation) if node.args.kwarg.annotation else "Any"
                if kind.endswith(".kwargs"):  # a ParamSpec: those of the function that is wrapped, as it has them
                    passed.add(node.args.kwarg.arg)
                elif re.search(r"\bAny\b", kind) and room(path) not in MAY_HAND_WORDS_ON:
                    found.append(f"{place(path, node)}: **{node.args.kwarg.arg}: {kind}")
        if room(path) == "pipelines":
            found += [
                f"{place(path, node)}: {ast.unparse(node.func)}(**{ast.unparse(word.value)})"
                for node in nodes(path)
                if isinstance(node, ast.Call) and not dotted(node.func).endswith(".assign")  # columns of a frame
                for word in node.keywords
                if word.arg is None and ast.unparse(word.value) not in passed
            ]
    found = [each for each in found if re.sub(r":\d+", "", each) != WRITTEN_OPTIONS]
    no(found)


def test_no_option_is_passed_over():
    """What the linter takes for a use, and is none: `del option`, `_ = option`, a parameter called `_option`."""
    found = []
    for path in FILES:
        for function in functions(path):
            names = {word.arg for word in parameters(function)}
            if not function.name.startswith("_"):
                # What is handed on by place may have a name that says that it is not needed; an option may not.
                found += [f"{place(path, word)}: {word.arg}" for word in function.args.kwonlyargs if word.arg[0] == "_"]
            for node in ast.walk(function):
                gone = [dotted(target) for target in node.targets] if isinstance(node, ast.Delete) else []
                if isinstance(node, ast.Assign) and dotted(node.targets[0]).startswith("_"):
                    gone += [word.id for word in ast.walk(node.value) if isinstance(word, ast.Name)]
                found += [f"{place(path, node)}: {ast.unparse(node)}" for name in gone if name in names]
    no(found)


def test_groups_have_no_defaults():
    """A field without a default must be given by name: mypy refuses a signature that has not got it."""
    found = []
    for kind in groups():
        by_name = all(word.kind is word.KEYWORD_ONLY for word in inspect.signature(kind).parameters.values())
        if not (kind.__dataclass_params__.frozen and by_name):
            found.append(f"{kind.__name__} must be frozen and kw_only")
        found += [
            f"{kind.__name__}.{field.name} has a default"
            for field in dataclasses.fields(kind)
            if field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        ]
    no(found)


def test_every_field_of_a_group_has_a_text():
    text = {name for kind in groups() for name in options.parameter_texts(kind.__doc__ or "")}
    no(
        f"{kind.__name__}.{field.name}"
        for kind in groups()
        for field in dataclasses.fields(kind)
        if field.name not in text
    )


def test_every_text_of_an_option_is_read():
    """A name that no function has, and a second text of a name that no function asks for, stand there for nobody."""
    read = {
        (name, text)
        for function in public().values()
        for name, text in options.parameter_texts(function.__doc__).items()
    }
    texts = {kind.__name__: options.parameter_texts(kind.__doc__ or "") for kind in groups()}
    no(f"{kind}.{name}" for kind, result in texts.items() for name, text in result.items() if (name, text) not in read)


def test_the_text_of_an_option_stands_once():
    """In the docstring of its group, or in that of a function where it says something else."""
    said = defaultdict(list)
    for kind in groups():
        for name, text in options.parameter_texts(kind.__doc__ or "").items():
            said[name, text].append(kind.__name__)
    for path in (PACKAGE / "pipelines").rglob("*.py"):
        for function in functions(path):
            if any(dotted(getattr(word, "func", word)).startswith("public") for word in function.decorator_list):
                for name, text in options.parameter_texts(ast.get_docstring(function) or "").items():
                    said[name, text].append(f"{function.name}()")
    no(f"{name}: {' and '.join(where)}" for (name, _), where in said.items() if len(where) > 1)


# Messages ----------------------------------------------------------------------

COMMAND = re.compile(r"^mlygeo [^']*$|'mlygeo [^']*'")
"""A whole command, alone or in a message."""


def texts(path):
    """The strings of a file that are no docstrings, and where; what is put into one is a pair of braces."""
    described = {id(node.value) for node in nodes(path) if isinstance(node, ast.Expr)}
    inside = {id(part) for node in nodes(path) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes(path):
        if isinstance(node, ast.JoinedStr):
            yield node, "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in described | inside:
            yield node, node.value


def said():
    """All that the library says, without the command line's own words and whole commands."""
    for path in FILES:
        if room(path) != "cli":
            for node, text in texts(path):
                yield place(path, node), COMMAND.sub("", text)


def test_messages_name_parameters_and_not_flags():
    """The command line makes the flag of a parameter, in `cli.options.in_flags`; Python has none."""
    no(f"{where}: {text!r}" for where, text in said() if re.search(r"(?<![\w-])--[a-z{]", text))


def test_messages_name_parameters_that_there_are():
    known = set(verb_options.REGION_NAMES)  # what the command line calls the parts of a region
    for name in mlygeo.__all__:
        each = getattr(mlygeo, name)
        known |= set(inspect.signature(each).parameters) if callable(each) else set()
    no(
        f"{where}: no public function has the parameter {name} in {text!r}"
        for where, text in said()
        for name, _ in verb_options.MENTION.findall(text)
        if name not in known
    )


# Help --------------------------------------------------------------------------

HELP = """
import os, sys

before = set(sys.modules)
from mlygeo import cli
from mlygeo.cli.verbs import VERBS

for words in [["--help"], *([verb.name, "--help"] for verb in VERBS)]:
    sys.stdout.flush()
    if child := os.fork():
        os.waitpid(child, 0)
        continue
    report = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    status = cli.main(words)
    loaded = {name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
    os.write(report, f"{' '.join(words)}: {status} {' '.join(sorted(loaded))}\\n".encode())
    os._exit(0)
"""


@needs_unix("forks")
def test_help_loads_nothing_heavy():
    """What a verb needs to work is loaded when it works."""
    shown = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, timeout=120)
    assert shown.returncode == 0, shown.stderr
    lines = [line.split(": ") for line in shown.stdout.splitlines()]
    assert len(lines) == len(VERBS) + 1, shown.stderr
    for words, result in lines:
        status, *loaded = result.split()
        assert status == "0", words
        assert set(loaded) <= HELP_MAY_LOAD, f"mlygeo {words} loads {set(loaded) - HELP_MAY_LOAD}"
