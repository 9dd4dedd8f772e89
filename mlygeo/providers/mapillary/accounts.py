"""
The users that have signed in, and their tokens, for uploads; and the sign-in.

Users are stored in one file in the user's configuration folder, or in a given file, which no other user
can read, or with the tokens in the system's keyring. Passwords are not stored at all. The files of older
tools are read, and never written. A file has one of two forms: that of this package, which is JSON, and
that of mapillary_tools, which both tools can share. It keeps its form; a new one is JSON if its name ends
in .json.
"""

from __future__ import annotations

import configparser
import io
import json
import logging
import os
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo import places, store, systems
from mlygeo.errors import CredentialsError, FileError, FormatError, InputError, ServiceError
from mlygeo.locks import HeldError, Lock
from mlygeo.net.answers import RefusedError, redact
from mlygeo.providers import SignedIn
from mlygeo.providers.keyrings import Keyring, named
from mlygeo.providers.mapillary.graph import Graph
from mlygeo.providers.mapillary.service import TOKENS
from mlygeo.providers.mapillary.uploads import Uploads
from mlygeo.store.atomic import atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mlygeo.providers.mapillary.service import Service


__all__ = ["Credentials", "User", "default_path", "upload_token"]

log = logging.getLogger("mlygeo.providers.mapillary.accounts")

FILE = "credentials.json"

FILE_VARIABLE = "MAPILLARY_CONFIG_PATH"
"""Environment variable that names the file, as for mapillary_tools."""

LOCK_S = 30.0
"""Seconds to wait for another process that writes the file; a write takes milliseconds."""

CLIENT_TOKEN = re.compile(r"MLY\|\d+\|[0-9a-fA-F]+")
"""Pattern of the token of an application, which can read, but not upload."""

SIGN_IN = "sign in with 'mlygeo authenticate'"

_NAME = re.compile(r"(?!DEFAULT$)[^\s/\\\[\]\"'\0=]{1,64}")
"""Names of users; DEFAULT has a meaning of its own in files of mapillary_tools."""

LONGEST_FILE = 1_048_576
"""Most bytes; a longer file is not a file of users, and is not read to its end."""

LONGEST_TOKEN = 4_096
"""Characters of a token that the service gives."""

_TEXTS = ("token", "user_key", "user_name", "user_email", "organization_key")

_OLD_KEYS = {
    "token": "user_upload_token",
    "user_key": "MAPSettingsUserKey",
    "user_name": "MAPSettingsUsername",
    "user_email": "MAPSettingsEmail",
    "organization_key": "MAPOrganizationKey",
}


_OLD_ORGANIZATIONS, _OLD_IN_KEYRING, _OLD_DEFAULT = "mlygeo_organizations", "mlygeo_in_keyring", "mlygeo_default"
"""Keys of this package in files of mapillary_tools, which ignores them."""


class Credentials:
    """
    The users that have signed in on this machine.

    Every change reads the file again, under a lock, and writes it once, so that changes by other processes
    at the same time stay.

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
        self._kept = _read(self.path)

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
        return named(self.users, name)

    def token_beside(self) -> str | None:
        """Return a user's token in the environment; None where there is none, or a file was given that counts alone."""
        if self.is_given:
            return None
        values = (os.environ.get(variable, "").strip() for variable in TOKENS.variables)
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
            raise CredentialsError(f"several users have signed in: {', '.join(sorted(users))}", hint="give `user_name`")
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
            raise InputError(f"{user.name[:70]!r} is not a name for a user", hint="use letters, digits, . _ and -")
        user = replace(user, source=self.path, older=False)
        if keyring:
            Keyring().set(_entry(user), user.read_token())
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
            Keyring().drop(_entry(before))

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

    def sign_in(self, name: str, signed_in: SignedIn, *, keyring: bool) -> None:
        """Keep a user that has signed in, under a name; see `keep`."""
        self.keep(
            User(name, signed_in.token, user_key=signed_in.user_key, user_name=signed_in.user_name), keyring=keyring
        )

    def edit(
        self,
        name: str | None,
        *,
        user_key: str | None,
        organization: Callable[[User], tuple[str | None, Mapping[str, str]]],
        default: bool,
    ) -> User:
        """Change what is kept of a user; see `mlygeo.providers.Credentials`."""

        def change(user: User) -> User:
            key, known = organization(user)
            return replace(user, organization_key=key, organizations=dict(known), user_key=user_key or user.user_key)

        return self.alter(name, change, default=default)

    def remove(self, name: str) -> None:
        """
        Forget a user and the token; where it was the one that is meant, of several others nobody is from now on.

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
                Keyring().drop(_entry(user))
            del users[user.name]
            only = next(iter(users)) if len(users) == 1 else None
            self._write(users, only if default == user.name else default)

    @contextmanager
    def _changing(self) -> Iterator[tuple[dict[str, User], str | None]]:
        """Lock the file against other processes, and yield its users and the default one."""
        path = self._real_path()
        made = not path.parent.exists()
        lock = Lock(path.parent / f".{path.name}.lock", wait_s=LOCK_S, mode=0o600)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if made:
                systems.keep_private(path.parent)
            lock.take()
        except HeldError:
            raise FileError(f"another process is writing {self.path}", hint="wait until it is done") from None
        except NotImplementedError:
            # A file system without locks; a change by another process in these milliseconds would be lost.
            log.info("%s cannot be locked", self.path)
        except OSError as error:
            raise store.file_error(error, self.path) from error
        try:
            self._kept = _read(self.path)
            yield dict(self._kept.users), self._kept.default
        finally:
            lock.give_up()

    def _write(self, users: dict[str, User], default: str | None) -> None:
        _write(self.path, self._kept, users, default)
        self._kept = _read(self.path)

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
            yield from _older_users(path)


def _entry(user: User) -> str:
    """Return the name of a user's entry in the keyring; it differs for equal names in two files."""
    if user.source is None or user.source == default_path():
        return user.name
    return f"{user.name} ({os.path.realpath(user.source)})"


def default_path() -> Path:
    """Return the place of the credentials file."""
    return places.config_file(FILE)


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
        As for `mlygeo.config.TokenSources.find`.
    credentials
        The users; those of this machine unless given. Where they are those of a file that is given,
        nobody else is meant.

    Raises
    ------
    CredentialsError
        If there is none.
    """
    if token is not None or token_file is not None:
        return TOKENS.require(token, token_file), None
    users = credentials or Credentials()
    if user_name is None and (value := users.token_beside()) is not None:
        return TOKENS.require(value), None
    if (user := users.find(user_name)) is not None:
        return user.read_token(), user
    found = None if users.is_given else TOKENS.find(environ={})
    if found is not None and not CLIENT_TOKEN.fullmatch(found):
        return found, None
    raise CredentialsError(f"nobody has signed in{users.where}, and uploads need the token of a user", hint=SIGN_IN)


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
    older
        Whether that is one of an older tool, which is only read.
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
    older: bool = False

    def read_token(self) -> str:
        """
        Return the token, from the keyring where that has it.

        Raises
        ------
        CredentialsError
            If it is not there, or the keyring does not give it.
        DependencyError
            If the package `keyring` is not installed.
        """
        token = Keyring().get(_entry(self)) if self.in_keyring else self.token
        if not token:
            raise CredentialsError(f"there is no token of user {self.name}", hint=SIGN_IN)
        return token

    def with_organizations(self, names: Mapping[str, str]) -> User:
        """Return the user with further organizations, by their names."""
        return replace(self, organizations={**self.organizations, **names})


@dataclass(frozen=True)
class Kept:
    """
    What stands in a file.

    Parameters
    ----------
    users
        The users by name.
    default
        The one that is meant where none is named.
    text
        The file as it is; None where there is none.
    """

    users: dict[str, User] = field(default_factory=dict)
    default: str | None = None
    text: str | None = field(default=None, repr=False)


def _read(path: Path) -> Kept:
    """
    Read a file; one that does not exist holds nobody.

    Raises
    ------
    CredentialsError
        If it cannot be read or is damaged. The text never shows what stands in it.
    """
    try:
        content = places.content_of(path, LONGEST_FILE)
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        return Kept()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise CredentialsError(f"the credentials file {path} cannot be read: {reason}") from None
    if len(content) > LONGEST_FILE:
        raise CredentialsError(f"the credentials file {path} is longer than any", hint="move it away, and sign in anew")
    try:
        return _of_ours(text, path) if _is_ours(path, text) else _of_mapillary_tools(text, path)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, configparser.Error):
        # The parser's message could repeat the content of the file.
        raise CredentialsError(
            f"the credentials file {path} is damaged", hint="move it away, and sign in anew"
        ) from None


def _write(path: Path, before: Kept, users: Mapping[str, User], default: str | None) -> None:
    """
    Write a file anew, in the form that it has, whole or not at all; nobody else can read it.

    Parameters
    ----------
    path
        The file; a link stays one, and its own name counts for the form of a new file.
    before
        What stands in it now. Of mapillary_tools' form, what is none of ours stays.
    users, default
        As in `Kept`.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    form = _as_ours if _is_ours(path, before.text) else _as_mapillary_tools
    content = form(before, users, default).encode()
    with atomic(Path(os.path.realpath(path))) as temporary, open(temporary, "xb", opener=_for_us_alone) as file:
        file.write(content)


def _older_users(path: Path) -> Iterator[User]:
    """Yield the users of an older tool's file; one that cannot be read has none."""
    try:
        if path.is_file() and path.stat().st_size <= LONGEST_FILE:
            kept = _of_mapillary_tools(path.read_text(encoding="utf-8-sig"), path)
            yield from (replace(user, older=True) for user in kept.users.values())
    except (OSError, ValueError, TypeError, AttributeError, configparser.Error):
        log.warning("%s cannot be read as credentials of mapillary_tools", path)


def _for_us_alone(path: str, flags: int) -> int:
    """Open a new file that only this user can read from its first byte on."""
    return os.open(path, flags, 0o600)


def _is_ours(path: Path, text: str | None) -> bool:
    """Return whether a file has our form: by what stands in it, and by its name where nothing does."""
    start = (text or "").lstrip()[:1]
    return start == "{" if start else path.suffix.lower() == ".json"


def _of_ours(text: str, path: Path) -> Kept:
    content = json.loads(text) if text.strip() else {"users": {}}
    users = {}
    for name, value in content["users"].items():
        texts: dict[str, Any] = {key: str(value[key]) for key in _TEXTS if value.get(key) is not None}
        names = _names(value.get("organizations"))
        users[name] = User(name, **texts, organizations=names, in_keyring=value.get("in_keyring") is True, source=path)
    return Kept(users, content.get("default"), text)


def _as_ours(_: Kept, users: Mapping[str, User], default: str | None) -> str:
    kept = {
        name: {key: value for key in (*_TEXTS, "organizations", "in_keyring") if (value := getattr(user, key))}
        for name, user in users.items()
    }
    return json.dumps({"version": 1, "default": default, "users": kept}, indent=1, ensure_ascii=False) + "\n"


def _parser(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return parser


def _of_mapillary_tools(text: str, path: Path) -> Kept:
    users = {}
    default = None
    parser = _parser(text)
    for name in parser.sections():
        section = dict(parser.items(name))
        texts: dict[str, Any] = {
            key: section[old].strip()
            for key, old in _OLD_KEYS.items()
            if section.get(old, "").strip() not in {"", "None"}
        }
        in_keyring = section.get(_OLD_IN_KEYRING) == "true"
        # Tokens of version 3 of the service and before are not valid any more.
        if not in_keyring and (not texts.get("token") or any(letter.isspace() for letter in texts["token"])):
            continue
        names = _names(json.loads(section.get(_OLD_ORGANIZATIONS, "{}")))
        texts.setdefault("user_name", name)
        users[name] = User(name, **texts, organizations=names, in_keyring=in_keyring, source=path)
        default = name if section.get(_OLD_DEFAULT) == "true" else default
    return Kept(users, default, text)


def _as_mapillary_tools(before: Kept, users: Mapping[str, User], default: str | None) -> str:
    parser = _parser(before.text or "")
    for name in before.users.keys() - users.keys():
        parser.remove_section(name)
    for name, user in users.items():
        if not parser.has_section(name):
            parser.add_section(name)
        section: dict[str, str | None] = {old: getattr(user, key) for key, old in _OLD_KEYS.items()}
        # The older tool interpolates values after a percent sign.
        names = json.dumps(user.organizations, ensure_ascii=False).replace("%", "\\u0025")
        section[_OLD_ORGANIZATIONS] = names if user.organizations else None
        section[_OLD_IN_KEYRING] = "true" if user.in_keyring else None
        section[_OLD_DEFAULT] = "true" if name == default else None
        for key, value in section.items():
            if value:
                parser.set(name, key, " ".join(value.split()))
            else:
                parser.remove_option(name, key)
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def _names(keys: Any) -> dict[str, str]:
    return {str(name): str(key) for name, key in (keys or {}).items()}


def sign_in(service: Service, email: str, password: str) -> SignedIn:
    """
    Sign a user in.

    Parameters
    ----------
    service
        The service, with the token of an application.
    email, password
        The user's; they go to the Graph API and nowhere else.

    Returns
    -------
    signed_in
        The user's token, and whose it is.

    Raises
    ------
    CredentialsError
        If the email or the password is not right.
    ServiceError
        If the service refuses the application's token, or is down.
    """
    credentials = {"email": email, "password": password, "locale": "en_US"}
    error: ServiceError
    try:
        with Uploads(service) as uploads:
            token, key = uploads.post("/login", credentials, what="sign-in", read=_token)
        return whose(replace(service, token=token), key)
    except RefusedError as refused:
        text = redact(str(refused), password, email)
        error = refused
    except ServiceError as failed:
        text, error = redact(str(failed), password, email), failed
    # Raised out here, so that nothing of the request hangs on it.
    if isinstance(error, RefusedError):
        raise CredentialsError(text, hint="check the email and the password of your Mapillary account")
    raise type(error)(text, hint=error.hint)


def whose(service: Service, user_key: str | None = None) -> SignedIn:
    """
    Return whose token a service has.

    Parameters
    ----------
    service
        The service, with the token of a user.
    user_key
        Id of the user, where it is known; another one is an error.

    Raises
    ------
    CredentialsError
        If it is not this user's.
    ServiceError
        If the service refuses the token, or is down.
    """
    with Graph(service, workers=1) as graph:
        record = graph.user()
    found = str(record["id"])
    if user_key is not None and found != user_key:
        raise CredentialsError(f"the token is that of user {found}, not {user_key}")
    name = record.get("username")
    return SignedIn(service.token or "", found, name if isinstance(name, str) else None)


def _token(answer: dict[str, Any]) -> tuple[str, str]:
    token, key = answer.get("access_token"), answer.get("user_id")
    if not isinstance(token, str) or not isinstance(key, str | int) or isinstance(key, bool):
        raise FormatError("the answer has no token")
    if not (token.isascii() and token.isprintable() and 0 < len(token) <= LONGEST_TOKEN and " " not in token):
        raise FormatError("what the answer has for a token is none")
    if not 0 < len(str(key)) <= LONGEST_TOKEN:
        raise FormatError("the answer has no id of the user")
    return token, str(key)
