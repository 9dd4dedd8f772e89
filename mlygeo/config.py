"""
Settings from outside: the configuration file, the addresses of services, and access tokens.

What a caller passes wins over the environment, and the environment over files. Everything is
read once, by whoever starts the work, and handed on as values.
"""

from __future__ import annotations

import json
import logging
import os
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mlygeo.errors import ConfigError, CredentialsError

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger("mlygeo.config")

TOKEN_FILE = "token.txt"  # noqa: S105 - the name of a file
"""Name of the file with the access token, in the working folder or the user's configuration folder."""

LONGEST_TOKEN_FILE = 65_536
"""Bytes; a longer file is no token, and is not read to its end."""

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
        If it is no http(s) URL, or an access token would travel there unencrypted to another machine.
    """
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound or parts.query or parts.fragment or any(letter.isspace() for letter in url):
        raise ConfigError(f"{name} is no http(s) URL: {_harmless(url)!r}", hint=f"such as {example}")
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
    """

    variables: tuple[str, ...]
    site: str

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
        counts as unset), `token.txt` in the working folder, `token.txt` in the user's configuration
        folder.

        Parameters
        ----------
        token
            The token itself.
        token_file
            A file that holds nothing else.
        environ
            The environment; this process's unless given.

        Raises
        ------
        CredentialsError
            If the file named does not exist, or what was found is no token. The text never shows it.
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
            if path.is_file():
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
            looked = ", ".join([*self.variables, f"./{TOKEN_FILE}", f"{TOKEN_FILE} in the user's configuration folder"])
            raise CredentialsError(f"no access token (looked at {looked})", hint=self.hint)
        return found

    def _of_file(self, path: Path) -> str:
        try:
            with path.open("rb") as file:
                content = file.read(LONGEST_TOKEN_FILE + 1)
        except OSError as error:
            raise CredentialsError(f"token file {path}: {error.strerror}", hint=self.hint) from None
        problem = f"token file {path}"
        if len(content) > LONGEST_TOKEN_FILE:
            raise CredentialsError(f"{problem} is too long for a token", hint=self.hint)
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


def _usual_token_files() -> list[Path]:
    import platformdirs

    return [Path(TOKEN_FILE), Path(platformdirs.user_config_dir("mlygeo", appauthor=False)) / TOKEN_FILE]


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
    `token_file`, `region`, `place` and `buffer`. Unknown keys are logged and otherwise left alone.

    Parameters
    ----------
    path
        JSON or TOML, by its ending; with another ending, whichever it is. Paths in it are
        relative to the file, and `~` is the home folder.

    Returns
    -------
    config
        What it says.

    Raises
    ------
    ConfigError
        If it is missing, broken, or a value has the wrong type.
    """
    path = Path(path).expanduser()
    values = _parse(_text(path), path)
    known = {field.name for field in fields(Config)} - {"path"}
    if unknown := sorted(set(values) - known):
        log.warning("%s: unknown keys left alone: %s", path, ", ".join(unknown))
    config: dict[str, Any] = {}
    for name in ("tile_cache_dir", "seqdir", "token_file", "region"):
        if (text := _string(values.get(name), name, path)) is not None:
            config[name] = path.parent / Path(text).expanduser()
    config["place"] = _string(values.get("place"), "place", path)
    config["buffer"] = _metres(values.get("buffer"), "buffer", path)
    config["bounding_box"] = _bounding_box(values.get("bounding_box"), path)
    return Config(path=path, **config)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"configuration file {path} does not exist", hint="check its name after -c") from None
    except OSError as error:
        raise ConfigError(f"configuration file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"configuration file {path} is not text in UTF-8") from None


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
    if kind is None:
        raise ConfigError(f"configuration file {path} is neither JSON ({problems[0]}) nor TOML ({problems[1]})")
    raise ConfigError(f"configuration file {path} is broken {kind}: {problems[0]}")


def _json(text: str) -> Any:
    return json.loads(text)


def _toml(text: str) -> Any:
    return tomllib.loads(text)


def _string(value: Any, name: str, path: Path) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ConfigError(f"configuration file {path}: {name} is {_shown(value)}, expected a text")
    return value


def _metres(value: Any, name: str, path: Path) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise ConfigError(f"configuration file {path}: {name} is {_shown(value)}, expected a number of metres above 0")
    return float(value)


def _bounding_box(value: Any, path: Path) -> dict[str, float] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ConfigError(
            f"configuration file {path}: bounding_box is {_shown(value)}, expected the keys {', '.join(SIDES)}"
        )
    if unknown := sorted(set(value) - set(SIDES)):
        log.warning("%s: unknown keys in bounding_box left alone: %s", path, ", ".join(unknown))
    sides = {}
    for name in SIDES:
        side = value.get(name)
        if side is None:
            continue
        # A truth value is an int to Python, and no coordinate to anyone; the bound keeps NaN, the
        # infinite, and whole numbers too long for a float out.
        if isinstance(side, bool) or not isinstance(side, int | float) or not abs(side) < 1e9:
            raise ConfigError(
                f"configuration file {path}: bounding_box.{name} is {_shown(side)}, expected a number in degrees"
            )
        sides[name] = float(side)
    return sides


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
