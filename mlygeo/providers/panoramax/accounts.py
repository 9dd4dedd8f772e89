"""
The users that have signed in at instances, and their tokens, for uploads; and the sign-in.

A user signs in by opening a link of the instance in a browser; there are no passwords. Tokens are stored by instance,
in one file in the user's configuration folder, or in a given one, which no other user can read, or in the system's
keyring. A token goes to the instance that made it, and to no other server.
"""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mlygeo import places, store, systems
from mlygeo.errors import CredentialsError, FileError, FormatError, InputError, ServiceError
from mlygeo.locks import HeldError, Lock
from mlygeo.net.answers import Trouble, parsed_json
from mlygeo.net.http import Client
from mlygeo.providers import SignedIn
from mlygeo.providers.keyrings import Keyring, named
from mlygeo.providers.panoramax.service import EXAMPLE, TOKEN_VARIABLE, TOKENS, URL_VARIABLE, Endpoints, Service, own
from mlygeo.store.atomic import atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mlygeo import providers
    from mlygeo.net import http
    from mlygeo.providers import PathLike

FILE = "panoramax.json"

LOCK_S = 30.0
"""Seconds to wait for another process that writes the file; a write takes milliseconds."""

CLAIM_S = 600.0
"""Seconds in which a link has to be opened."""

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 5.0
"""Seconds between two questions whether it was; they become longer."""

LONGEST_ANSWER = 1 << 20

LONGEST_FILE = 1_048_576
"""Most bytes of the file of users."""

LONGEST_TOKEN = 4_096
"""Characters of a token that an instance gives."""

SIGN_IN = "sign in with 'mlygeo authenticate', its `provider` and `endpoint`"

_NAME = re.compile(r"[^\0-\x1f\x7f]{1,64}")

_TEXTS = ("token", "user_key", "user_name")


@dataclass(frozen=True)
class User:
    """
    A user that has signed in; see `mlygeo.providers.User`.

    Parameters
    ----------
    name
        What the user is called here.
    token
        The token; never shown. None where the system's keyring has it.
    user_key, user_name
        Id and name of the user at the instance.
    in_keyring
        Whether the system's keyring has the token.
    source
        The file of this entry.
    instance
        Host of the instance.
    """

    name: str
    token: str | None = field(default=None, repr=False)
    user_key: str | None = None
    user_name: str | None = None
    in_keyring: bool = False
    source: Path | None = None
    instance: str = ""
    organization_key: None = None
    organizations: Mapping[str, str] = field(default_factory=dict)

    @property
    def entry(self) -> str:
        """Name of the token in the keyring."""
        place = "" if self.source in (None, default_path()) else f" ({os.path.realpath(str(self.source))})"
        return f"{self.name} at {self.instance}{place}"

    def read_token(self) -> str:
        """Return the token, from the keyring if it is there."""
        token = Keyring().get(self.entry) if self.in_keyring else self.token
        if not token:
            raise CredentialsError(f"there is no token of user {self.name} at {self.instance}", hint=SIGN_IN)
        return token


class Accounts:
    """Users of instances; see `mlygeo.providers.Accounts`. There are neither passwords nor organizations."""

    has_passwords = False

    def credentials(self, path: PathLike | None = None, *, service: http.Service | None = None) -> Credentials:
        """Return the users that have signed in at the instance of a service."""
        endpoints = Endpoints.from_environment() if service is None else own(service).endpoints
        return Credentials(path, endpoints.host)

    def is_application(self, token: str) -> bool:  # noqa: ARG002 - a token is one of a user
        """Return False: there are no tokens of applications."""
        return False

    def application_token(self, token: str | None, token_file: PathLike | None, service: http.Service | None) -> str:  # noqa: ARG002
        """Raise: there are no tokens of applications."""
        raise InputError("Panoramax has no tokens of applications", hint=SIGN_IN)

    def with_token(self, service: http.Service | None, token: str) -> Service:
        """Return the service with another token."""
        found = Service.from_environment() if service is None else own(service)
        return replace(found, token=TOKENS.require(token))

    def sign_in(self, service: http.Service, email: str, password: str) -> SignedIn:  # noqa: ARG002
        """Raise: there are no passwords."""
        raise InputError("Panoramax has no passwords", hint=SIGN_IN)

    def sign_in_by_link(self, service: http.Service, *, show: Callable[[str], object]) -> SignedIn:
        """Sign a user in who opens a link in a browser."""
        return sign_in_by_link(own(service), show=show)

    def whose(self, service: http.Service, user_key: str | None = None) -> SignedIn:
        """Return the owner of a service's token; raise CredentialsError if it is not the given user."""
        found = whose(own(service))
        if user_key is not None and found.user_key != user_key:
            raise CredentialsError(f"the token is that of user {found.user_key}, not {user_key}")
        return found

    def upload_token(
        self,
        user_name: str | None,
        *,
        token: str | None,
        token_file: PathLike | None,
        credentials: providers.Credentials | None,
    ) -> tuple[str, User | None]:
        """Return the token to upload with, and its owner if known."""
        users = credentials if isinstance(credentials, Credentials) else self.credentials()
        return upload_token(user_name, token=token, token_file=token_file, credentials=users)

    def is_organization(self, key: str) -> bool:  # noqa: ARG002
        """Return False: there are no organizations."""
        return False

    def organization(self, service: http.Service, key: str) -> dict[str, str]:  # noqa: ARG002
        """Raise: there are no organizations."""
        raise InputError("Panoramax has no organizations", hint="leave `organization_key` out")

    def remember_organizations(self, user: providers.User | None, names: Mapping[str, str]) -> None:
        """Do nothing: there are no organizations."""


class Credentials:
    """
    The users that have signed in at an instance; see `mlygeo.providers.Credentials`.

    Parameters
    ----------
    path
        The file; by default the one in the user's configuration folder.
    instance
        Host of the instance.

    Raises
    ------
    CredentialsError
        If the file is damaged.
    """

    def __init__(self, path: PathLike | None, instance: str) -> None:
        self.path = default_path() if path is None else Path(path).expanduser()
        self.is_given = path is not None
        self.instance = instance
        self._kept = _read(self.path)

    @property
    def _here(self) -> Mapping[str, Any]:
        found = self._kept["instances"].get(self.instance, {})
        return found if isinstance(found, dict) else {}

    @property
    def default(self) -> str | None:
        """The user that signed in last at the instance, or the only one."""
        found, users = self._here.get("default"), self.users
        if isinstance(found, str) and found in users:
            return found
        return next(iter(users)) if len(users) == 1 else None

    @property
    def users(self) -> dict[str, User]:
        """The users by name."""
        users = {}
        for name, value in (self._here.get("users") or {}).items():
            texts: dict[str, Any] = {key: str(value[key]) for key in _TEXTS if value.get(key) is not None}
            users[name] = User(
                name, **texts, in_keyring=value.get("in_keyring") is True, source=self.path, instance=self.instance
            )
        return users

    def named(self, name: str) -> User | None:
        """Return the user of a name, here or at the instance; None where there is none."""
        return named(self.users, name)

    def token_beside(self) -> str | None:
        """Return the token in the environment; None if there is none, it is of another instance, or a file counts."""
        value = os.environ.get(TOKEN_VARIABLE, "").strip()
        if self.is_given or not value:
            return None
        meant = os.environ.get(URL_VARIABLE, "").strip()
        if meant and Endpoints.from_environment().host != self.instance:
            return None
        return value

    def sign_in(self, name: str, signed_in: SignedIn, *, keyring: bool) -> None:
        """Store a signed-in user under a name, as the one that is meant where none is named."""
        if not _NAME.fullmatch(name):
            raise InputError(f"{name[:70]!r} is not a name for a user", hint="use at most 64 letters")
        user = User(
            name, signed_in.token, signed_in.user_key, signed_in.user_name, source=self.path, instance=self.instance
        )
        if keyring:
            Keyring().set(user.entry, signed_in.token)
            user = replace(user, token=None, in_keyring=True)
        before = self.users.get(name)
        with self._changing() as users:
            users[name] = _plain(user)
            self._write(users, name)
        if before is not None and before.in_keyring and not keyring:
            Keyring().drop(before.entry)

    def edit(
        self,
        name: str | None,
        *,
        user_key: str | None,
        organization: Callable[[User], tuple[str | None, Mapping[str, str]]],  # noqa: ARG002 - there are none
        default: bool,
    ) -> User:
        """Make a user the default one; nothing else of it can be changed."""
        if user_key is not None:
            raise InputError("`user_key` has no effect for Panoramax, which says it itself", hint="leave it out")
        found = self._found(name)
        if default:
            with self._changing() as users:
                self._write(users, found.name)
        return found

    def remove(self, name: str) -> None:
        """Forget a user and the token; where it was the one that is meant, of several others nobody is from now on."""
        found = self._found(name)
        if found.in_keyring:
            Keyring().drop(found.entry)
        with self._changing() as users:
            users.pop(found.name, None)
            only = next(iter(users)) if len(users) == 1 else None
            self._write(users, only if self.default == found.name else self.default)

    def _found(self, name: str | None) -> User:
        name = self.default if name is None else name
        if name is None and self.users:
            raise _several(self)
        found = None if name is None else self.named(name)
        if found is None:
            who = "nobody has signed in" if name is None else f"no user {name!r} has signed in"
            raise CredentialsError(f"{who} at {self.instance}", hint=SIGN_IN)
        return found

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        """Lock the file against other processes, and yield the users of the instance as the file has them."""
        folder = Path(os.path.realpath(self.path)).parent
        lock = Lock(folder / f".{self.path.name}.lock", wait_s=LOCK_S, mode=0o600)
        try:
            if not folder.exists():
                folder.mkdir(parents=True, exist_ok=True)
                systems.keep_private(folder)
            with suppress(NotImplementedError):  # a file system without locks
                lock.take()
        except HeldError:
            raise FileError(f"another process is writing {self.path}", hint="wait until it is done") from None
        except OSError as error:
            raise store.file_error(error, self.path) from error
        try:
            self._kept = _read(self.path)
            yield dict(self._here.get("users") or {})
        finally:
            lock.give_up()

    def _write(self, users: Mapping[str, Any], default: str | None) -> None:
        instances = {**self._kept["instances"], self.instance: {"default": default, "users": dict(users)}}
        if not users:
            del instances[self.instance]
        text = json.dumps({"version": 1, "instances": instances}, indent=1, ensure_ascii=False) + "\n"
        with (
            atomic(Path(os.path.realpath(self.path))) as temporary,
            open(temporary, "xb", opener=_for_us_alone) as file,
        ):
            file.write(text.encode())
        self._kept = _read(self.path)


def default_path() -> Path:
    """Return the place of the file of users."""
    return places.config_file(FILE)


def upload_token(
    user_name: str | None, *, token: str | None, token_file: PathLike | None, credentials: Credentials
) -> tuple[str, User | None]:
    """
    Return the token to upload with, and its owner if known.

    The first of these wins: the token given, the file named, the user named, the token in the environment, the user
    that signed in last at the instance. The environment's token is that of the environment's instance, if it names one.

    Parameters
    ----------
    user_name
        A user that has signed in.
    token, token_file
        The token, or a file with it.
    credentials
        The users.

    Raises
    ------
    CredentialsError
        If there is none.
    """
    if token is not None or token_file is not None:
        return TOKENS.require(token, token_file), None
    if user_name is None and (value := credentials.token_beside()) is not None:
        return TOKENS.require(value), None
    name = user_name or credentials.default
    if name is None and credentials.users:
        raise _several(credentials)
    user = None if name is None else credentials.named(name)
    if user is None:
        known = ", ".join(sorted(credentials.users))
        who = f"no user {user_name!r} has" if user_name else "nobody has"
        raise CredentialsError(
            f"{who} signed in at {credentials.instance}{f'; there are {known}' if known else ''}, and uploads need the "
            "token of a user",
            hint=SIGN_IN,
        )
    return user.read_token(), user


def _several(credentials: Credentials) -> CredentialsError:
    """Return the error for several users of whom none is meant."""
    return CredentialsError(
        f"several users have signed in at {credentials.instance}: {', '.join(sorted(credentials.users))}",
        hint="give `user_name`",
    )


def whose(service: Service) -> SignedIn:
    """
    Return whose token a service has.

    Raises
    ------
    TokenRejectedError
        If the instance refuses it.
    """
    url = f"{service.endpoints.api}/users/me"
    with Client(service) as client:
        content = client.get(url, what="the user of the token", check=_user, token_in_header=True)
    key, name = _user(content)
    return SignedIn(service.token or "", key, name)


def sign_in_by_link(
    service: Service,
    *,
    show: Callable[[str], object],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> SignedIn:
    """
    Sign a user in: make a token, show the link that claims it, and wait until that was opened in a browser.

    Parameters
    ----------
    service
        The instance.
    show
        Called with the link.
    clock, sleep
        Seconds that only grow; waits so many seconds.

    Raises
    ------
    CredentialsError
        If nobody opened the link in time.
    ServiceError
        If the instance makes no tokens, or is down.
    """
    if service.endpoints.is_catalogue:
        raise InputError("the catalogue of all instances has no users", hint=f"give `endpoint`, such as {EXAMPLE}")
    with _SignIn(replace(service, token=None)) as client:
        token, link = client.generate()
    show(link)
    until, wait = clock() + CLAIM_S, FIRST_WAIT_S
    with _SignIn(replace(service, token=token)) as client:
        while (user := client.owner()) is None:
            if clock() > until:
                raise CredentialsError(
                    f"nobody opened the link within {CLAIM_S / 60:.0f} minutes", hint="run the same command again"
                )
            sleep(wait)
            wait = min(LONGEST_WAIT_S, wait * 1.3)
    return SignedIn(token, *user)


class _SignIn(Client):
    _service: Service

    def generate(self) -> tuple[str, str]:
        """Return a new token, and the link that claims it."""

        def once() -> tuple[str, str] | Trouble:
            url = f"{self._service.endpoints.api}/auth/tokens/generate?description=mlygeo"
            came = self._ask("POST", url, what="a new token", headers={}, longest=LONGEST_ANSWER, body=b"")
            read: tuple[str, str] | Trouble = self._read(came, "a new token", _new_token)
            return read

        token, link = self._persist(once, what="a new token")
        parts = urlsplit(link)
        if parts.scheme not in {"http", "https"} or not parts.hostname or not link.isprintable():
            raise ServiceError("a new token: the answer has no link for a browser")
        return token, link

    def owner(self) -> tuple[str, str | None] | None:
        """Return key and name of the token's owner; None while nobody has claimed it."""

        def once() -> tuple[tuple[str, str | None] | None] | Trouble:
            url, what = f"{self._service.endpoints.api}/users/me", "the user of the token"
            came = self._ask("GET", url, what=what, headers=self._authorization(url), longest=LONGEST_ANSWER)
            if not isinstance(came, Trouble) and came[0] == 403:
                return (None,)
            read = self._read(came, what, _user)
            return read if isinstance(read, Trouble) else (read,)

        return self._persist(once, what="the user of the token")[0]

    def _read(self, came: Any, what: str, read: Callable[[bytes], Any]) -> Any:
        if isinstance(came, Trouble):
            return came
        trouble = self._service.judge(*came, what=what, now=self._wall_clock())
        if trouble is None:
            try:
                return read(came[2])
            except FormatError as error:
                trouble = Trouble(ServiceError(f"{what}: {error}", hint="try again later"), "again")
        return self._without_token(trouble)


def _user(content: bytes) -> tuple[str, str | None]:
    said = parsed_json(content)
    key, name = said.get("id"), said.get("name")
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST_TOKEN:
        raise FormatError("the answer has no id of the user")
    return key, name if isinstance(name, str) and name else None


def _new_token(content: bytes) -> tuple[str, str]:
    said = parsed_json(content)
    token, links = said.get("jwt_token"), said.get("links")
    if not isinstance(token, str) or not (token.isascii() and token.isprintable() and 0 < len(token) <= LONGEST_TOKEN):
        raise FormatError("the answer has no token")
    if " " in token or not isinstance(links, list):
        raise FormatError("the answer has no token, or no links")
    link = next((one.get("href") for one in links if isinstance(one, dict) and one.get("rel") == "claim"), None)
    if not isinstance(link, str):
        raise FormatError("the answer has no link to claim the token")
    return token, link


def _plain(user: User) -> dict[str, Any]:
    return {key: value for key in (*_TEXTS, "in_keyring") if (value := getattr(user, key))}


def _for_us_alone(path: str, flags: int) -> int:
    """Open a new file that only this user can read from its first byte on."""
    return os.open(path, flags, 0o600)


def _read(path: Path) -> dict[str, Any]:
    """Return what stands in a file; one that does not exist holds nobody. No message shows what stands in it."""
    try:
        content = places.content_of(path, LONGEST_FILE)
        found = json.loads(content) if content.strip() else {}
    except FileNotFoundError:
        return {"instances": {}}
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "it is damaged"
        raise CredentialsError(f"the credentials file {path} cannot be read: {reason}") from None
    kept = found.get("instances", {}) if isinstance(found, dict) else None
    if isinstance(found, dict) and found and "instances" not in found:
        raise CredentialsError(f"{path} has users of another provider", hint="give another `config_file`")
    instances = list(kept.values()) if isinstance(kept, dict) else [None]
    users = [one.get("users") if isinstance(one, dict) else None for one in instances]
    if not all(isinstance(each, dict) and all(isinstance(one, dict) for one in each.values()) for each in users):
        raise CredentialsError(f"the credentials file {path} is damaged", hint="move it away, and sign in anew")
    return {"instances": kept}
