"""
Who may upload: the users that have signed in, and their tokens.

They are kept in one file in the user's configuration folder, or in one that is named, which nobody
else can read, or with the tokens in the system's keyring. Passwords are not kept at all. What older
tools kept in their own places is read, and never written.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo import _credential_files, config, store
from mlygeo._credential_files import User
from mlygeo.errors import CredentialsError, DependencyError, FileError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["Credentials", "Keyring", "User", "default_path", "upload_token"]

log = logging.getLogger("mlygeo.providers.mapillary.accounts")

FILE = "credentials.json"

FILE_VARIABLE = "MAPILLARY_CONFIG_PATH"
"""Environment variable that names the file, as for mapillary_tools."""

KEYRING_NAME = "mlygeo"
"""Name under which the system's keyring has the tokens."""

LOCK_S = 30.0
"""Seconds to wait for another process that writes the file; a write takes milliseconds."""

CLIENT_TOKEN = re.compile(r"MLY\|\d+\|[0-9a-fA-F]+")
"""What the token of an application looks like; it can read, but not upload."""

SIGN_IN = "sign in with 'mlygeo authenticate'"

_NAME = re.compile(r"(?!DEFAULT$)[^\s/\\\[\]\"'\0=]{1,64}")
"""Names of users; DEFAULT has a meaning of its own in files of mapillary_tools."""


class Credentials:
    """
    The users that have signed in on this machine.

    Every change reads the file anew, under a lock, and writes it once: what other processes keep
    there at the same time stays.

    Parameters
    ----------
    path
        The file, of ours or of mapillary_tools; unless given, the one that MAPILLARY_CONFIG_PATH
        names, else the one in the user's configuration folder. Of a file that is named, by either,
        only those who stand in it are meant.
    environ
        The environment; this process's unless given.

    Raises
    ------
    CredentialsError
        If the file is damaged.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, environ: Mapping[str, str] | None = None) -> None:
        variable = (os.environ if environ is None else environ).get(FILE_VARIABLE, "").strip()
        named = path if path is not None else variable or None
        self.path = default_path() if named is None else Path(named).expanduser()
        self.is_given = path is not None
        self._is_named = named is not None
        self._kept = _credential_files.read(self.path)

    @property
    def default(self) -> str | None:
        """The user that is meant where none is named."""
        return self._kept.default

    @property
    def users(self) -> dict[str, User]:
        """The users by name: those that signed in here, then those of older tools."""
        return {**{user.name: user for user in self._older()}, **self._kept.users}

    def named(self, name: str) -> User | None:
        """Return the user of a name, as it is called here before as it is at Mapillary; None where there is none."""
        users = self.users
        first = [users[name]] if name in users else []
        return next((user for user in (*first, *users.values()) if name in {user.name, user.user_name}), None)

    def token_beside(self) -> str | None:
        """Return a user's token in the environment; None where there is none, or a file was given that counts alone."""
        if self.is_given:
            return None
        values = (os.environ.get(variable, "").strip() for variable in config.TOKEN_VARIABLES)
        return next((value for value in values if value and not CLIENT_TOKEN.fullmatch(value)), None)

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
            if (user := self.named(name)) is not None:
                return user
            known = f"there are {', '.join(sorted(users))}" if users else "nobody has"
            raise CredentialsError(f"no user {name!r} has signed in{self.where}; {known}", hint=SIGN_IN)
        if self.default in users:
            return users[str(self.default)]
        if len(users) > 1:
            raise CredentialsError(f"several users have signed in: {', '.join(sorted(users))}", hint="give --user-name")
        return next(iter(users.values()), None)

    @property
    def where(self) -> str:
        """The file in brackets, where it is another than usual."""
        return f" ({self.path})" if self._is_named else ""

    def keep(self, user: User, *, keyring: bool = False) -> None:
        """
        Keep a user who has just signed in, and is from now on the one meant where no name is given.

        What is known of the organizations of the same account stays.

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
        CredentialsError
            If the keyring does not take the token.
        DependencyError
            If the package `keyring` is not installed.
        FileError
            If the file cannot be written.
        """
        if not _NAME.fullmatch(user.name):
            raise InputError(f"{user.name[:70]!r} is no name for a user", hint="use letters, digits, . _ and -")
        user = replace(user, source=self.path, older=False)
        if keyring:
            Keyring().set(user, user.read_token())
            user = replace(user, token=None, in_keyring=True)
        with self._changing() as (users, _):
            before = self.users.get(user.name)
            if before is not None and before.user_key == user.user_key:
                user = replace(
                    user.with_organizations({**before.organizations, **user.organizations}),
                    organization_key=user.organization_key or before.organization_key,
                )
            users[user.name] = user
            self._write(users, user.name)
        if before is not None and before.in_keyring and not user.in_keyring:
            Keyring().drop(before)

    def alter(self, name: str | None, change: Callable[[User], User], *, default: bool = False) -> User:
        """
        Change what is kept of a user; one of an older tool is kept here then, too.

        Parameters
        ----------
        name
            As for `find`.
        change
            Returns the user as it is to be, from what stands in the file now.
        default
            Make it the one that is meant where no name is given; who that is stays otherwise.

        Raises
        ------
        CredentialsError
            If there is no such user.
        FileError
            If the file cannot be written.
        """
        with self._changing() as (users, before):
            found = self.find(name)
            if found is None:
                raise CredentialsError(f"nobody has signed in{self.where}", hint=SIGN_IN)
            users[found.name] = replace(change(found), name=found.name, source=self.path, older=False)
            self._write(users, found.name if default else before)
        return users[found.name]

    def remove(self, name: str) -> None:
        """
        Forget a user and the token.

        Raises
        ------
        CredentialsError
            If there is none of this name, or an older tool keeps it.
        """
        with self._changing() as (users, default):
            user = self.find(name)
            if user is None or user.older:
                kept = None if user is None else user.source
                raise CredentialsError(f"user {name} is kept by an older tool, in {kept}", hint="remove it there")
            if user.in_keyring:
                Keyring().drop(user)
            del users[user.name]
            self._write(users, next(iter(users), None) if default == user.name else default)

    @contextmanager
    def _changing(self) -> Iterator[tuple[dict[str, User], str | None]]:
        """Keep other processes off the file, and give what stands in it now: the users, and who is meant."""
        import filelock

        path = self._real_path()
        made = not path.parent.exists()
        lock = filelock.FileLock(path.parent / f".{path.name}.lock", timeout=LOCK_S, mode=0o600)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if made:
                with suppress(OSError):
                    path.parent.chmod(0o700)
            lock.acquire()
        except filelock.Timeout:
            raise FileError(f"another process is writing {self.path}", hint="wait until it is done") from None
        except NotImplementedError:
            # A file system without locks; a change by another process in these milliseconds would be lost.
            log.info("%s cannot be locked", self.path)
        except OSError as error:
            raise store.file_error(error, self.path) from error
        try:
            self._kept = _credential_files.read(self.path)
            yield dict(self._kept.users), self._kept.default
        finally:
            lock.release()

    def _write(self, users: dict[str, User], default: str | None) -> None:
        path = self._real_path()
        _credential_files.write(path, self._kept, users, default)
        self._kept = _credential_files.read(self.path)

    def _real_path(self) -> Path:
        """Return the file itself where the path is a link, which stays one."""
        return Path(os.path.realpath(self.path))

    def _older(self) -> Iterable[User]:
        """Yield the users that mapillary_tools keeps, of 2019 and of today."""
        if self._is_named:
            return
        home = Path.home() / ".config" / "mapillary"
        files = [home / "config"]
        with suppress(OSError):
            files += sorted(path for path in (home / "configs").rglob("*") if path.is_file())
        for path in files:
            yield from _credential_files.older_users(path)


class Keyring:
    """
    The system's keyring, as far as tokens are concerned.

    Raises
    ------
    DependencyError
        If the package `keyring` is not installed.
    """

    def __init__(self) -> None:
        try:
            self._package: Any = importlib.import_module("keyring")
            self._errors: Any = importlib.import_module("keyring.errors")
        except ImportError:
            raise DependencyError(
                "the package keyring is not installed", hint="pip install keyring, or leave --keyring out"
            ) from None

    def get(self, user: User) -> str | None:
        """Return a user's token; None where it has none."""
        with self._told("does not give the token"):
            token = self._package.get_password(KEYRING_NAME, _entry(user))
            return None if token is None else str(token)

    def set(self, user: User, token: str) -> None:
        """Keep a user's token."""
        with self._told("does not take the token"):
            self._package.set_password(KEYRING_NAME, _entry(user), token)

    def drop(self, user: User) -> None:
        """Forget a user's token; one that is not there is forgotten already."""
        with self._told("does not forget the token"), suppress(self._errors.PasswordDeleteError):
            self._package.delete_password(KEYRING_NAME, _entry(user))

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Say of a keyring that is locked, or none at all, what it did not do."""
        try:
            yield
        except self._errors.KeyringError as error:
            reason = type(error).__name__
        else:
            return
        # Raised out here: what the keyring says could repeat the token.
        raise CredentialsError(f"the system's keyring {what} ({reason})", hint="leave --keyring out")


def _entry(user: User) -> str:
    """Return the name of a user's entry in the keyring; users of the same name in two files are two."""
    if user.source is None or user.source == default_path():
        return user.name
    return f"{user.name} ({os.path.realpath(user.source)})"


def default_path() -> Path:
    """Return the place of the credentials file."""
    import platformdirs

    return Path(platformdirs.user_config_dir("mlygeo", appauthor=False)) / FILE


def remember_organizations(user: User | None, names: Mapping[str, str]) -> None:
    """
    Keep names of organizations, by which they can be asked for the next time.

    Parameters
    ----------
    user
        As found; None, and one that an older tool keeps, is left as it is.
    names
        Keys of organizations by their names.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    if user is None or user.older or user.source is None or names.items() <= user.organizations.items():
        return
    Credentials(user.source).alter(user.name, lambda kept: kept.with_organizations(names))


def upload_token(
    user_name: str | None = None,
    *,
    token: str | None = None,
    token_file: str | os.PathLike[str] | None = None,
    credentials: Credentials | None = None,
) -> tuple[str, User | None]:
    """
    Return the token to upload with, and whose it is where that is known.

    The first of these wins: the token given, the file named, the user named, a user of the
    credentials file that is named, a user's token in the environment, the user that signed in last,
    `token.txt`. Tokens of applications, which cannot upload, are passed over in the environment and
    in `token.txt`.

    Parameters
    ----------
    user_name
        A user that has signed in.
    token, token_file
        As for `config.find_token`.
    credentials
        The users; those of this machine unless given. Where they are those of a file that is given,
        nobody else is meant.

    Raises
    ------
    CredentialsError
        If there is none.
    """
    if token is not None or token_file is not None:
        return config.require_token(token, token_file), None
    users = credentials or Credentials()
    if user_name is None and (value := users.token_beside()) is not None:
        return config.require_token(value), None
    if (user := users.find(user_name)) is not None:
        return user.read_token(), user
    found = None if users.is_given else config.find_token(environ={})
    if found is not None and not CLIENT_TOKEN.fullmatch(found):
        return found, None
    raise CredentialsError(f"nobody has signed in{users.where}, and uploads need the token of a user", hint=SIGN_IN)
