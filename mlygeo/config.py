"""
Settings from outside: the configuration file, the addresses of services, and access tokens.

What a caller passes wins over the environment, and the environment over files. Everything is
read once, by whoever starts the work, and handed on as values. The configuration file of a project
is looked for by the command line alone (`find`); functions read the one that they are given.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mlygeo import places
from mlygeo.errors import ConfigError, CredentialsError, FileError, unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN_FILE = "token.txt"  # noqa: S105 - the name of a file
"""Name of the file with the access token, in the working folder or the user's configuration folder."""

LONGEST_TOKEN_FILE = 65_536
"""Bytes; a longer file is not a token, and is not read to its end."""

OLDER_TOKEN_FILE = "config.py"  # noqa: S105 - the name of a file
"""Where the sequence downloader has it: a Python file with `access_token = "…"`, which is read and not run."""

LONGEST_FILE = 1_048_576
"""Bytes; a longer file is not a configuration, and is not read to its end."""

FILES = ("mlygeo.toml", "mlygeo.json")
"""Names of a project's configuration file."""

PROJECT_FILE = "pyproject.toml"
"""A Python project's own file, which may have the configuration in its table `tool.mlygeo`."""

SIDES = ("west", "south", "east", "north")


def is_loopback(url: str) -> bool:
    """Return whether a URL names this very machine."""
    host = (urlsplit(url).hostname or "").lower()
    return host in {"localhost", "::1"} or (host.startswith("127.") and host.replace(".", "").isdigit())


def checked_url(url: str, name: str, *, example: str) -> str:
    """
    Return the address of a service without the slash at its end.

    Parameters
    ----------
    url
        The address.
    name
        What messages call it.
    example
        An address that is right, for messages.

    Raises
    ------
    ConfigError
        If it is not an http(s) URL, or an access token would travel there unencrypted to another machine.
    """
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound or parts.query or parts.fragment or any(letter.isspace() for letter in url):
        raise ConfigError(f"{name} is not an http(s) URL: {_harmless(url)!r}", hint=f"such as {example}")
    if parts.username is not None or parts.password is not None:
        raise ConfigError(f"{name} holds a user name or password", hint="leave them out of the URL")
    if parts.scheme == "http" and not is_loopback(url):
        raise ConfigError(f"{name} is {url}, and the access token would travel there unencrypted", hint="use https://")
    return url.rstrip("/")


def _harmless(url: str) -> str:
    """Return what may be shown of a URL: neither its query nor a password."""
    return url.split("?", 1)[0].rsplit("@", 1)[-1][:80]


@dataclass(frozen=True)
class TokenSources:
    """
    Where the access token of a service is looked for.

    Parameters
    ----------
    variables
        Environment variables that may hold it; the first that is set wins.
    site
        Where a user gets one.
    prefix
        How tokens of the service begin. A `config.py` is common in Python projects; only a token that begins so is
        taken from one that nobody named.
    """

    variables: tuple[str, ...]
    site: str
    prefix: str = ""

    @property
    def hint(self) -> str:
        """What to do where there is none."""
        return (
            f"get a token at {self.site}, and put it into {TOKEN_FILE} or the environment variable {self.variables[0]}"
        )

    def find(
        self,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> str | None:
        """
        Return the access token, or None where there is none.

        The first of these wins: the argument, the file named, the environment (an empty variable
        counts as unset), `token.txt` in the working folder, `access_token` in `config.py` there (the
        sequence downloader's file; it is not run), `token.txt` in the user's configuration folder.

        Parameters
        ----------
        token
            The token itself.
        token_file
            A file that holds nothing else, or a Python file with `access_token = "…"`.
        environ
            The environment; this process's unless given.

        Raises
        ------
        FileError
            If the file named cannot be read.
        CredentialsError
            If what was found is not a token. The text never shows it.
        """
        if token is not None:
            return self._checked(token, "the token given")
        if token_file is not None:
            return self._of_file(Path(token_file).expanduser())
        environ = os.environ if environ is None else environ
        for variable in self.variables:
            if value := environ.get(variable, "").strip():
                return self._checked(value, f"the environment variable {variable}")
        for path in _usual_token_files():
            if path.is_file() and (path.suffix != ".py" or self._is_in(path)):
                return self._of_file(path)
        return None

    def require(
        self,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> str:
        """
        Return the access token.

        Parameters
        ----------
        token, token_file, environ
            As for `find`.

        Raises
        ------
        CredentialsError
            If there is none, saying where it was looked for; or as `find` does.
        """
        found = self.find(token, token_file, environ)
        if found is None:
            looked = ", ".join(
                [
                    *self.variables,
                    f"./{TOKEN_FILE}",
                    f"access_token in ./{OLDER_TOKEN_FILE}",
                    f"{TOKEN_FILE} in the user's configuration folder",
                ]
            )
            raise CredentialsError(f"no access token (looked at {looked})", hint=self.hint)
        return found

    def _of_file(self, path: Path) -> str:
        try:
            content = places.content_of(path, LONGEST_TOKEN_FILE)
        except (OSError, ValueError) as error:
            said = unreadable(path, error) if isinstance(error, OSError) else f"{path}: {error}"
            raise FileError(f"token file {said}", hint=self.hint) from None
        problem = f"token file {path}"
        if len(content) > LONGEST_TOKEN_FILE:
            raise CredentialsError(f"{problem} is too long for a token", hint=self.hint)
        if path.suffix.lower() == ".py":
            return self._checked(_access_token(content, problem, self.hint), problem)
        # What cannot be decoded becomes a letter that no token has, and is refused as such.
        return self._checked(content.decode("utf-8-sig", errors="replace"), problem)

    def _checked(self, token: str, where: str) -> str:
        token = token.strip()
        if not token:
            raise CredentialsError(f"{where} is empty", hint=self.hint)
        if len(token.splitlines()) > 1:
            raise CredentialsError(f"{where} has several lines, and a token is one word", hint=self.hint)
        if any(letter.isspace() for letter in token):
            raise CredentialsError(f"{where} holds white space, and a token is one word", hint=self.hint)
        if not (token.isascii() and token.isprintable()):
            raise CredentialsError(f"{where} holds letters that no token has", hint=self.hint)
        return token

    def _is_in(self, path: Path) -> bool:
        """Return whether a Python file that nobody named has a token of this service."""
        try:
            content = places.content_of(path, LONGEST_TOKEN_FILE)
            return bool(self.prefix) and _access_token(content, str(path), self.hint).startswith(self.prefix)
        except (OSError, CredentialsError):
            return False


def _access_token(content: bytes, where: str, hint: str) -> str:
    """Return the text that a Python file assigns to `access_token`, without running it."""
    import ast
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise CredentialsError(f"{where} is not a Python file", hint=hint) from None
    found: ast.expr | None = None
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            names = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(name, ast.Name) and name.id == "access_token" for name in names):
                found = node.value
    if found is None:
        raise CredentialsError(f"{where} has no access_token", hint=hint)
    if not isinstance(found, ast.Constant) or not isinstance(found.value, str):
        raise CredentialsError(
            f"access_token in {where} is not a text in quotes, and the file is not run", hint='write access_token = "…"'
        )
    return found.value


def _usual_token_files() -> list[Path]:
    import platformdirs

    of_user = Path(platformdirs.user_config_dir("mlygeo", appauthor=False)) / TOKEN_FILE
    return [Path(TOKEN_FILE), Path(OLDER_TOKEN_FILE), of_user]


@dataclass(frozen=True)
class Config:
    """
    What a configuration file says; None where it says nothing.

    Parameters
    ----------
    path
        The file itself.
    bounding_box
        Those of west, south, east and north that it gives, in degrees; the command line may give
        the rest.
    tile_cache_dir
        Folder of the tile cache.
    seqdir
        Folder of downloaded images, one folder a sequence.
    token_file
        File with the access token.
    region
        File of shapes of the region; `file.gpkg:layer` for one of its layers.
    place
        Name of the region, as OpenStreetMap's Nominatim knows it.
    buffer
        Metres around the region that belong to it.
    """

    path: Path
    bounding_box: dict[str, float] | None = None
    tile_cache_dir: Path | None = None
    seqdir: Path | None = None
    token_file: Path | None = None
    region: Path | None = None
    place: str | None = None
    buffer: float | None = None


def load(path: str | os.PathLike[str]) -> Config:
    """
    Read a configuration file.

    The keys are those of percept-vsvi-filter (`bounding_box`, `tile_cache_dir`, `seqdir`), and
    `token_file`, `region`, `place` and `buffer`. Keys that begin with "_" or "$" are notes.

    Parameters
    ----------
    path
        JSON or TOML, by its ending; with another ending, whichever it is. Of a `pyproject.toml` the
        table `tool.mlygeo`. Paths in it are relative to the file, and `~` is the home folder.

    Returns
    -------
    config
        What it says.

    Raises
    ------
    FileError
        If it cannot be read.
    ConfigError
        If it is broken, a value has the wrong type, or a key is unknown.
    """
    path = Path(path).expanduser()
    values = _parse(_text(path), path)
    if path.name == PROJECT_FILE:
        table = _own_table(values)
        if table is None:
            raise ConfigError(f"configuration file {path} has no table tool.mlygeo")
        values = table
    _check_keys(values, [field.name for field in fields(Config) if field.name != "path"], path)
    config: dict[str, Any] = {}
    for name in ("tile_cache_dir", "seqdir", "token_file", "region"):
        if (text := _string(values.get(name), name, path)) is not None:
            config[name] = path.parent / Path(text).expanduser()
    config["place"] = _string(values.get("place"), "place", path)
    config["buffer"] = _metres(values.get("buffer"), "buffer", path)
    config["bounding_box"] = _bounding_box(values.get("bounding_box"), path)
    named = [name for name in ("bounding_box", "region", "place") if config.get(name)]
    if len(named) > 1:
        raise ConfigError(
            f"configuration file {path} names several regions: {' and '.join(named)}",
            hint="keep one of them; '_' before a key makes it a note",
        )
    return Config(path=path, **config)


def find(folder: str | os.PathLike[str] = ".") -> Path | None:
    """
    Return the configuration file of the project that a folder belongs to; None where there is none.

    It is `mlygeo.toml`, `mlygeo.json`, or a `pyproject.toml` with the table `tool.mlygeo`, in the folder or
    the nearest one above it that has one, up to the user's home folder or the root of the file system.

    Parameters
    ----------
    folder
        Where to begin.

    Raises
    ------
    ConfigError
        If a folder has several of them, or what has such a name is not a file.
    """
    try:
        start = Path(folder).absolute()
        home = Path.home()
    except (OSError, RuntimeError):  # the working folder was removed, or nobody knows whose home this is
        return None
    for place in (start, *start.parents):
        there = [place / name for name in FILES if os.path.lexists(place / name)]
        for path in there:
            if not path.is_file():
                what = "a folder" if path.is_dir() else "a broken link" if path.is_symlink() else "not a regular file"
                raise ConfigError(f"{path} is {what}, not a configuration file", hint=_RENAME)
        if _names_us(place / PROJECT_FILE):
            there.append(place / PROJECT_FILE)
        if len(there) > 1:
            names = " and ".join(path.name for path in there)
            raise ConfigError(f"{names} in {place} are both configurations", hint=_ONE_OF)
        if there:
            return there[0]
        if place == home:
            break
    return None


_RENAME = "rename it, or use `no_config=True`"
_ONE_OF = "keep one of them, or name one with `config=FILE`"


def _names_us(path: Path) -> bool:
    """Return whether a project's file has our table; what other programs make of it is not our business."""
    try:
        content = places.content_of(path, LONGEST_FILE) if path.is_file() else b""
    except OSError:
        return False
    if b"mlygeo" not in content:
        return False
    import tomllib

    try:
        return _own_table(tomllib.loads(content.decode("utf-8"))) is not None
    except (ValueError, RecursionError):
        return b"tool.mlygeo" in content


def _own_table(values: dict[str, Any]) -> dict[str, Any] | None:
    tool = values.get("tool")
    table = tool.get("mlygeo") if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else None


def _check_keys(values: dict[str, Any], known: list[str], path: Path, *, inside: str = "") -> None:
    unknown = [key for key in values if key not in known and not key.startswith(("_", "$"))]
    if not unknown:
        return
    import difflib

    near = difflib.get_close_matches(unknown[0].lower(), known, n=1, cutoff=0.5)
    within = f" in {inside}" if inside else ""
    raise ConfigError(
        f"configuration file {path}: unknown key {_shown(unknown[0])}{within}",
        hint=f"did you mean {near[0]}?" if near else f"the keys are {', '.join(known)}",
    )


def _text(path: Path) -> str:
    try:
        content = places.content_of(path, LONGEST_FILE)
    except FileNotFoundError as error:
        raise FileError(f"configuration file {unreadable(path, error)}", hint="check its name") from None
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and path.is_dir():
            raise FileError(
                f"configuration file {path} is a folder, not a file", hint="name the JSON or TOML file in it"
            ) from None
        raise FileError(f"configuration file {path}: {_reason(error)}") from None
    if len(content) > LONGEST_FILE:
        raise ConfigError(f"configuration file {path} is longer than a megabyte, too long for a configuration")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        is_wide = content[:2] in {b"\xff\xfe", b"\xfe\xff"}
        if not is_wide and b"\0" in content:
            raise ConfigError(
                f"configuration file {path} is not text",
                hint="a configuration is JSON or TOML; a file of polygons is named with `region=FILE`",
            ) from None
        raise ConfigError(
            f"configuration file {path} is {'UTF-16' if is_wide else 'not text in UTF-8'}", hint="save it as UTF-8"
        ) from None


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _parse(text: str, path: Path) -> dict[str, Any]:
    ending = path.suffix.lower()
    parsers = {".json": [_json], ".toml": [_toml]}.get(ending, [_json, _toml])
    problems = []
    for parser in parsers:
        try:
            values = parser(text)
        except (ValueError, RecursionError) as error:
            problems.append(" ".join((str(error) or type(error).__name__).split()))
            continue
        if not isinstance(values, dict):
            raise ConfigError(f"configuration file {path} holds a {type(values).__name__}, expected an object of keys")
        return values
    kind = {".json": "JSON", ".toml": "TOML"}.get(ending)
    hint = _BACKSLASHES if any("escape" in each or "\\" in each or "hex" in each for each in problems) else None
    if kind is None:
        raise ConfigError(
            f"configuration file {path} is neither JSON ({problems[0]}) nor TOML ({problems[1]})", hint=hint
        )
    raise ConfigError(f"configuration file {path} is broken {kind}: {problems[0]}", hint=hint)


_BACKSLASHES = "in quotes a backslash stands for something else: write / or \\\\ in paths"


def _json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_each_once)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{_shown(next(name for name in names if names.count(name) > 1))} stands there twice")
    return values


def _toml(text: str) -> Any:
    import tomllib

    return tomllib.loads(text)


def _string(value: Any, name: str, path: Path) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ConfigError(f"configuration file {path}: {name} is {_shown(value)}, expected a text")
    if not is_plain(value):
        # "C:\temp" in quotes is C:, a tab and "emp".
        raise ConfigError(f"configuration file {path}: {name} is {_shown(value)}, not a name", hint=_BACKSLASHES)
    return value


def _metres(value: Any, name: str, path: Path) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise ConfigError(f"configuration file {path}: {name} is {_shown(value)}, expected a number of metres above 0")
    return float(value)


def is_plain(text: str) -> bool:
    """Return whether a text has no control characters, nor halves of characters."""
    return not any(letter < " " or letter == "\x7f" or "\ud800" <= letter <= "\udfff" for letter in text)


def _bounding_box(value: Any, path: Path) -> dict[str, float] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ConfigError(
            f"configuration file {path}: bounding_box is {_shown(value)}, expected the keys {', '.join(SIDES)}"
        )
    _check_keys(value, list(SIDES), path, inside="bounding_box")
    sides = {}
    for name in SIDES:
        side = value.get(name)
        if side is None:
            continue
        # A truth value is an int to Python, and no coordinate to anyone; the bound keeps NaN, the
        # infinite, and whole numbers too long for a float out.
        if isinstance(side, bool) or not isinstance(side, int | float) or not abs(side) < 1e9:
            raise ConfigError(
                f"configuration file {path}: bounding_box.{name} is {_shown(side)}, expected a number in degrees",
                hint="write it without quotes" if isinstance(side, str) else None,
            )
        sides[name] = float(side)
    return sides


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
