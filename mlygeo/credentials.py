"""
Who may upload: the users that have signed in, and their tokens.

They are kept in one file in the user's configuration folder, which nobody else can read, or with
the tokens in the system's keyring. Passwords are not kept at all. What older tools kept is read,
and never written.
"""

from __future__ import annotations

import configparser
import importlib
import json
import logging
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo import config, store
from mlygeo.errors import CredentialsError, DependencyError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

log = logging.getLogger("mlygeo.credentials")

FILE = "credentials.json"

KEYRING_NAME = "mlygeo"
"""Name under which the system's keyring has the tokens."""

CLIENT_TOKEN = re.compile(r"MLY\|\d+\|[0-9a-fA-F]+")
"""What the token of an application looks like; it can read, but not upload."""

SIGN_IN = "sign in with 'mlygeo authenticate'"

_NAME = re.compile(r"[^\s/\\\[\]\"'\0=]{1,64}")
_OLD_KEYS = {
    "user_key": "MAPSettingsUserKey",
    "user_email": "MAPSettingsEmail",
    "organization_key": "MAPOrganizationKey",
}


@dataclass(frozen=True)
class User:
    """
    A user that has signed in.

    Parameters
    ----------
    name
        What the user is called here; usually the user name at Mapillary.
    token
        The token; never shown. None where the system's keyring has it.
    user_key
        Id of the user at Mapillary.
    user_name
        Name at Mapillary.
    user_email
        Address that was used to sign in, where it was kept by an older tool.
    organization_key
        The organization to upload for, unless another is asked for.
    organizations
        Keys of organizations that were used, by their names.
    in_keyring
        Whether the system's keyring has the token.
    source
        The file that this stands in.
    """

    name: str
    token: str | None = field(default=None, repr=False)
    user_key: str | None = None
    user_name: str | None = None
    user_email: str | None = None
    organization_key: str | None = None
    organizations: dict[str, str] = field(default_factory=dict)
    in_keyring: bool = False
    source: Path | None = None

    def read_token(self) -> str:
        """
        Return the token, from the keyring where that has it.

        Raises
        ------
        CredentialsError
            If it is not there.
        DependencyError
            If the package `keyring` is not installed.
        """
        token = _keyring().get_password(KEYRING_NAME, self.name) if self.in_keyring else self.token
        if not token:
            raise CredentialsError(f"there is no token of user {self.name}", hint=SIGN_IN)
        return str(token)


class Credentials:
    """
    The users that have signed in on this machine.

    Parameters
    ----------
    path
        The file; the one in the user's configuration folder unless given.
    environ
        The environment; this process's unless given.

    Raises
    ------
    CredentialsError
        If the file is damaged.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self.path = default_path() if path is None else Path(path).expanduser()
        self.default: str | None = None
        self._own: dict[str, User] = {}
        self._read()

    @property
    def users(self) -> dict[str, User]:
        """The users by name: those that signed in here, then those of older tools."""
        return {**{user.name: user for user in self._older()}, **self._own}

    def find(self, name: str | None = None) -> User | None:
        """
        Return a user.

        Parameters
        ----------
        name
            Which one: as it is called here, or at Mapillary. None: the one that signed in last, or
            the only one of an older tool.

        Returns
        -------
        user
            None where no name is given and nobody has signed in.

        Raises
        ------
        CredentialsError
            If there is none of this name, or there are several and none signed in here.
        """
        users = self.users
        if name is not None:
            for user in users.values():
                if name in {user.name, user.user_name}:
                    return user
            known = f"there are {', '.join(sorted(users))}" if users else "nobody has"
            raise CredentialsError(f"no user {name!r} has signed in; {known}", hint=SIGN_IN)
        if self.default in users:
            return users[str(self.default)]
        if len(users) > 1:
            raise CredentialsError(f"several users have signed in: {', '.join(sorted(users))}", hint="give --user-name")
        return next(iter(users.values()), None)

    def keep(self, user: User, *, keyring: bool = False) -> None:
        """
        Keep a user, who is from now on the one meant where no name is given.

        Parameters
        ----------
        user
            With the token.
        keyring
            Give the token to the system's keyring; the file then only says so.

        Raises
        ------
        InputError
            If the name is none.
        DependencyError
            If the package `keyring` is not installed.
        FileError
            If the file cannot be written.
        """
        if not _NAME.fullmatch(user.name):
            raise InputError(f"{user.name[:70]!r} is no name for a user", hint="use letters, digits, . _ and -")
        if keyring and not user.in_keyring:
            _keyring().set_password(KEYRING_NAME, user.name, user.read_token())
            user = replace(user, token=None, in_keyring=True)
        self._own[user.name] = replace(user, source=self.path)
        self.default = user.name
        self._write()

    def change(self, user: User) -> None:
        """Keep what has changed about a user; who is meant without a name stays as it was."""
        default = self.default
        self.keep(user)
        if default is not None:
            self.default = default
            self._write()

    def remove(self, name: str) -> None:
        """
        Forget a user and the token.

        Raises
        ------
        CredentialsError
            If there is none of this name, or an older tool keeps it.
        """
        user = self._own.get(name)
        if user is None:
            found = self.find(name)
            kept = None if found is None else found.source
            raise CredentialsError(f"user {name} is kept by an older tool, in {kept}", hint="remove it there")
        if user.in_keyring:
            ring = _keyring()
            with suppress(ring.errors.PasswordDeleteError):
                ring.delete_password(KEYRING_NAME, name)
        del self._own[name]
        self.default = next(iter(self._own), None) if self.default == name else self.default
        self._write()

    def _read(self) -> None:
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as error:
            raise CredentialsError(f"the credentials file {self.path} cannot be read: {_short(error)}") from None
        try:
            told = json.loads(text)
            users = told["users"]
            self.default = told.get("default")
            self._own = {name: _user(name, value, self.path) for name, value in users.items()}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            # The parser's own words could repeat what stands in the file.
            raise CredentialsError(
                f"the credentials file {self.path} is damaged", hint="move it away, and sign in anew"
            ) from None

    def _write(self) -> None:
        users = {
            name: {
                key: value
                for key in (
                    "token",
                    "user_key",
                    "user_name",
                    "user_email",
                    "organization_key",
                    "organizations",
                    "in_keyring",
                )
                if (value := getattr(user, key))
            }
            for name, user in self._own.items()
        }
        text = json.dumps({"version": 1, "default": self.default, "users": users}, indent=1, ensure_ascii=False)
        made = not self.path.parent.exists()
        with store.atomic(self.path) as temporary:
            # Nobody else can read it, from its first byte on.
            number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(number, text.encode() + b"\n")
            os.close(number)
        if made:
            with suppress(OSError):
                self.path.parent.chmod(0o700)

    def _older(self) -> Iterable[User]:
        """Yield the users that mapillary_tools keeps, of 2019 and of today."""
        home = Path.home() / ".config" / "mapillary"
        files = [home / "config"]
        if named := self._environ.get("MAPILLARY_CONFIG_PATH", "").strip():
            files.append(Path(named).expanduser())
        with suppress(OSError):
            files += sorted(path for path in (home / "configs").rglob("*") if path.is_file())
        for path in files:
            yield from _older_users(path)


def default_path() -> Path:
    """Return the place of the credentials file."""
    import platformdirs

    return Path(platformdirs.user_config_dir("mlygeo", appauthor=False)) / FILE


def upload_token(
    user_name: str | None = None,
    *,
    token: str | None = None,
    token_file: str | os.PathLike[str] | None = None,
    credentials: Credentials | None = None,
) -> tuple[str, User | None]:
    """
    Return the token to upload with, and whose it is where that is known.

    The first of these wins: the token given, the file named, the user named, a user's token in the
    environment, the user that signed in last, `token.txt`. Tokens of applications, which cannot
    upload, are passed over in the environment and in `token.txt`.

    Parameters
    ----------
    user_name
        A user that has signed in.
    token, token_file
        As for `config.find_token`.
    credentials
        The users; those of this machine unless given.

    Raises
    ------
    CredentialsError
        If there is none.
    """
    if token is not None or token_file is not None:
        return config.require_token(token, token_file), None
    users = credentials or Credentials()
    if user_name is None:
        for variable in config.TOKEN_VARIABLES:
            value = os.environ.get(variable, "").strip()
            if value and not CLIENT_TOKEN.fullmatch(value):
                return config.require_token(value), None
    if (user := users.find(user_name)) is not None:
        return user.read_token(), user
    found = config.find_token(environ={})
    if found is not None and not CLIENT_TOKEN.fullmatch(found):
        return found, None
    raise CredentialsError("nobody has signed in, and uploads need the token of a user", hint=SIGN_IN)


def _user(name: str, told: dict[str, Any], path: Path) -> User:
    texts: dict[str, Any] = {
        key: str(told[key])
        for key in ("token", "user_key", "user_name", "user_email", "organization_key")
        if told.get(key) is not None
    }
    organizations = {str(key): str(value) for key, value in (told.get("organizations") or {}).items()}
    return User(name, **texts, organizations=organizations, in_keyring=told.get("in_keyring") is True, source=path)


def _older_users(path: Path) -> Iterable[User]:
    """Yield the users of an older tool's file; one that cannot be read has none."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        if not path.is_file() or path.stat().st_size > config.LONGEST_TOKEN_FILE * 16:
            return
        parser.read_string(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, configparser.Error):
        log.warning("%s cannot be read as credentials of mapillary_tools", path)
        return
    for name in parser.sections():
        told = dict(parser.items(name))
        token = (told.get("user_upload_token") or "").strip()
        # What version 3 of the service and before had for a token is no use any more.
        if not token or token == "None" or any(letter.isspace() for letter in token):  # noqa: S105 - how it was written
            continue
        texts: dict[str, Any] = {
            key: told[old] for key, old in _OLD_KEYS.items() if told.get(old) not in {None, "", "None"}
        }
        yield User(name, token=token, user_name=told.get("MAPSettingsUsername") or name, **texts, source=path)


def _keyring() -> Any:
    """Return the package `keyring`."""
    try:
        return importlib.import_module("keyring")
    except ImportError:
        raise DependencyError(
            "the package keyring is not installed", hint="pip install keyring, or leave --keyring out"
        ) from None


def _short(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
