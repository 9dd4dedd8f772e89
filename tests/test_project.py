"""What holds for the project as a whole: import contract, floors, versions, documentation."""

import ast
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from conftest import PACKAGE, ROOT
from helpers.command_line import installed
from helpers.unix import needs_unix

import mlygeo
from mlygeo import pipelines
from mlygeo.cli import options as verb_options
from mlygeo.cli import verbs

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_imports_point_one_way():
    found = subprocess.run([installed("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def test_importing_the_package_is_light():
    code = "import sys, mlygeo; print(len({'numpy', 'pandas', 'geopandas', 'shapely'} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "0"
    )


@pytest.mark.parametrize("package", [mlygeo, pipelines])
def test_no_module_has_the_name_of_a_public_function(package):
    """Whoever imported it would find the module where the function was."""
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert "pipelines" in modules or "region" in modules
    assert modules.isdisjoint(mlygeo.__all__)


@pytest.mark.parametrize("name", mlygeo.__all__)
def test_public_names_are_there_and_documented(name):
    value = getattr(mlygeo, name)
    assert (value.__doc__ or "").strip()
    if inspect.isfunction(value):
        for section in ("Parameters", "Returns", "Raises", "Examples"):
            assert f"\n{section}\n" in inspect.cleandoc(value.__doc__), f"{name} has no section {section}"
        documented = {part for key in verb_options.parameter_texts(value) for part in key.split(", ")}
        assert documented == set(inspect.signature(value).parameters), name


def test_the_version_is_that_of_the_project():
    assert mlygeo.__version__ == PROJECT["project"]["version"]


def test_the_package_is_found_beside_its_clone(tmp_path):
    """There the clone's own folder has the package's name, and only a path in the environment wins over it."""
    (tmp_path / "mlygeo" / "mlygeo").mkdir(parents=True)
    code = "import mlygeo; print(mlygeo.read_frame.__name__, mlygeo.__version__)"
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert found.stdout == f"read_frame {mlygeo.__version__}\n", found.stderr + "'make setup' installs it so"


def test_nothing_says_to_install_from_an_index_that_has_it_not():
    pages = [path for path in ROOT.glob("*.md") if path.name != "RELEASING.md"]  # which is about the day it has it
    for path in [*pages, *(ROOT / "docs").rglob("*.md"), *PACKAGE.rglob("*.py")]:
        assert not re.search(r"pip install '?\"?mlygeo", path.read_text(encoding="utf-8")), path


def test_the_changelog_knows_this_version():
    assert f"## {PROJECT['project']['version']} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"version: {PROJECT['project']['version']}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_the_paper_cites_each_of_its_references():
    cited = re.findall(r"\[@(\w+)\]", (ROOT / "paper.md").read_text(encoding="utf-8"))
    listed = re.findall(r"^@\w+\{(\w+),", (ROOT / "paper.bib").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted({*cited}) == sorted(listed)


CORE = PROJECT["project"]["dependencies"]
EXTRAS = PROJECT["project"]["optional-dependencies"]


def _floors(lines):
    """The oldest version of each package, by its name on the package index."""
    names = {"pyosmium": "osmium", "lazy_loader": "lazy-loader", "matplotlib-base": "matplotlib", "h3-py": "h3"}
    pairs = (re.fullmatch(r"([A-Za-z0-9_.-]+)(?:\[\w+\])? ?>=([0-9.]+)(?:;.*)?", line.strip()) for line in lines)
    return {names.get(match[1], match[1]): match[2] for match in pairs if match}


def test_conda_and_pip_ask_for_the_same():
    wanted = _floors([*CORE, *(need for extra in ("video", "osm", "speed", "plot") for need in EXTRAS[extra])])
    del wanted["tzdata"]  # conda-forge's Python has the time zones itself
    environment = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert _floors(re.findall(r"^  - (\S+)$", environment, re.MULTILINE)) == wanted


def test_the_recipe_and_pip_ask_for_the_same():
    recipe = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["context"]["version"] == PROJECT["project"]["version"]
    wanted = _floors(CORE)
    del wanted["tzdata"]
    assert _floors(recipe["requirements"]["run"]) == wanted
    # An extra is what conda may install beside it, at no older version.
    extras = _floors([need for name, needs in EXTRAS.items() if name != "all" for need in needs])
    assert _floors(recipe["requirements"]["run_constraints"]) == extras
    assert recipe["about"]["summary"] == PROJECT["project"]["description"]
    assert recipe["about"]["license"] == PROJECT["project"]["license"]
    entry = PROJECT["project"]["scripts"]["mlygeo"]
    assert recipe["build"]["python"]["entry_points"] == [f"mlygeo = {entry}"]


def test_every_dependency_is_pinned_and_explained():
    pinned = {
        line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().splitlines()
    }
    readme = (ROOT / "README.md").read_text(encoding="utf-8").lower()
    named = _floors([*CORE, *(need for name, needs in EXTRAS.items() if name != "all" for need in needs)])
    for name in named.keys() - {"tzdata"}:
        assert name in pinned, name
        assert name in readme, f"the README does not say what {name} is for"


IMPORTED = {"pillow": "PIL", "lazy-loader": "lazy_loader", "mapbox-vector-tile": "mapbox_vector_tile",
            "dask-geopandas": "dask_geopandas"}  # fmt: skip
"""Packages whose module has another name."""


def _imports():
    """The packages that modules of mlygeo import, by name or through importlib."""
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            for name in names:
                yield path, name.split(".")[0]
        for name in re.findall(r"""(?:import_module|\bmodule)\(["'](\w+)""", text):
            yield path, name


def test_every_import_is_declared():
    needs = [*CORE, *(need for needs in EXTRAS.values() for need in needs)]
    declared = {IMPORTED.get(name, name) for name in _floors(needs)}
    declared |= {"distributed", "llvmlite", "mlygeo", *sys.stdlib_module_names}
    for path, name in _imports():
        assert name in declared, f"{path.name} imports {name}"


def test_every_dependency_is_imported():
    found = {name for _, name in _imports()}
    needs = [*CORE, *(need for needs in EXTRAS.values() for need in needs)]
    unused = {name for name in _floors(needs) if IMPORTED.get(name, name) not in found}
    assert unused == {"tzdata"}, unused  # which zoneinfo reads


def test_the_source_archive_is_the_whole_repository():
    """So that its tests run from it."""
    assert set(PROJECT["tool"]["hatch"]["build"]["targets"]) == {"wheel"}


def test_the_readme_names_every_verb():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for verb in verbs.VERBS:
        assert f"mlygeo {verb.name}" in readme


def test_the_readme_runs(tmp_path, monkeypatch):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = next(block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL))
    monkeypatch.chdir(ROOT)
    exec(compile(code.replace("demo/", f"{tmp_path}/"), "README.md", "exec"), {})
    assert (tmp_path / "nearest.gpkg").exists()


def test_no_secrets_or_places_of_a_machine():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".yml", ".json", ".ipynb", ".cff", ".pyi"} and path.exists():
            text = path.read_text(encoding="utf-8", errors="ignore")
            assert not re.search(r"MLY\|\d{5,}\|[0-9a-f]{32}(?<!0123456789abcdef0123456789abcdef)", text), name
            assert not re.search(r"/(root|home)/\w+/|/(work|opt)/\w", text), name


@needs_unix("signals of Unix")
def test_programs_of_tests_get_ctrl_c_wherever_the_tests_run():
    """A shell starts what runs in the background with Ctrl-C ignored; conftest takes that back."""
    child = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    parent = f"import conftest, subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    command = ["sh", "-c", 'trap "" INT; exec "$0" -c "$1"', sys.executable, parent]
    found = subprocess.run(command, cwd=ROOT / "tests", capture_output=True, text=True)
    assert found.stdout == "True\n", found.stderr
