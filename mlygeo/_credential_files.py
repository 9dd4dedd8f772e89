"""
The files that users and their tokens are kept in.

There are two forms: ours, which is JSON, and that of mapillary_tools, which both tools can share.
A file keeps the form that it has; a new one is ours where its name ends in .json.
"""

from __future__ import annotations

import configparser
import io
import json
import logging
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mlygeo.errors import CredentialsError
from mlygeo.store.atomic import atomic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

log = logging.getLogger("mlygeo.providers.mapillary.accounts")

LONGEST_FILE = 1_048_576
"""Bytes; a longer file holds no users, and is not read to its end."""

_TEXTS = ("token", "user_key", "user_name", "user_email", "organization_key")

_OLD_KEYS = {
    "token": "user_upload_token",
    "user_key": "MAPSettingsUserKey",
    "user_name": "MAPSettingsUsername",
    "user_email": "MAPSettingsEmail",
    "organization_key": "MAPOrganizationKey",
}
_OLD_ORGANIZATIONS, _OLD_IN_KEYRING, _OLD_DEFAULT = "mlygeo_organizations", "mlygeo_in_keyring", "mlygeo_default"
"""What mapillary_tools has no key for; it leaves them alone."""


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
        from mlygeo.providers.mapillary.accounts import SIGN_IN, Keyring

        token = Keyring().get(self) if self.in_keyring else self.token
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


def read(path: Path) -> Kept:
    """
    Read a file; one that does not exist holds nobody.

    Raises
    ------
    CredentialsError
        If it cannot be read or is damaged. The text never shows what stands in it.
    """
    try:
        with path.open("rb") as file:
            text = file.read(LONGEST_FILE + 1).decode("utf-8-sig")
    except FileNotFoundError:
        return Kept()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise CredentialsError(f"the credentials file {path} cannot be read: {reason}") from None
    try:
        return _of_ours(text, path) if _is_ours(path, text) else _of_mapillary_tools(text, path)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, configparser.Error):
        # The parser's own words could repeat what stands in the file.
        raise CredentialsError(
            f"the credentials file {path} is damaged", hint="move it away, and sign in anew"
        ) from None


def write(path: Path, before: Kept, users: Mapping[str, User], default: str | None) -> None:
    """
    Write a file anew, in the form that it has, whole or not at all; nobody else can read it.

    Parameters
    ----------
    path
        The file; its folder is made where it is missing, and closed to others then.
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
    with atomic(path) as temporary, open(temporary, "xb", opener=_for_us_alone) as file:
        file.write(content)


def older_users(path: Path) -> Iterator[User]:
    """Yield the users of an older tool's file; one that cannot be read has none."""
    try:
        if path.is_file() and path.stat().st_size <= LONGEST_FILE:
            kept = _of_mapillary_tools(path.read_text(encoding="utf-8-sig"), path)
            yield from (replace(user, older=True) for user in kept.users.values())
    except (OSError, ValueError, TypeError, AttributeError, configparser.Error):
        log.warning("%s cannot be read as credentials of mapillary_tools", path)


def _for_us_alone(path: str, flags: int) -> int:
    """Open a new file that is closed to others from its first byte on."""
    return os.open(path, flags, 0o600)


def _is_ours(path: Path, text: str | None) -> bool:
    return path.suffix.lower() == ".json" or (text is not None and text.lstrip().startswith("{"))


def _of_ours(text: str, path: Path) -> Kept:
    told = json.loads(text)
    users = {}
    for name, value in told["users"].items():
        texts: dict[str, Any] = {key: str(value[key]) for key in _TEXTS if value.get(key) is not None}
        names = _names(value.get("organizations"))
        users[name] = User(name, **texts, organizations=names, in_keyring=value.get("in_keyring") is True, source=path)
    return Kept(users, told.get("default"), text)


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
        told = dict(parser.items(name))
        texts: dict[str, Any] = {
            key: told[old].strip() for key, old in _OLD_KEYS.items() if told.get(old, "").strip() not in {"", "None"}
        }
        in_keyring = told.get(_OLD_IN_KEYRING) == "true"
        # What version 3 of the service and before had for a token is no use any more.
        if not in_keyring and (not texts.get("token") or any(letter.isspace() for letter in texts["token"])):
            continue
        names = _names(json.loads(told.get(_OLD_ORGANIZATIONS, "{}")))
        texts.setdefault("user_name", name)
        users[name] = User(name, **texts, organizations=names, in_keyring=in_keyring, source=path)
        default = name if told.get(_OLD_DEFAULT) == "true" else default
    return Kept(users, default, text)


def _as_mapillary_tools(before: Kept, users: Mapping[str, User], default: str | None) -> str:
    parser = _parser(before.text or "")
    for name in before.users.keys() - users.keys():
        parser.remove_section(name)
    for name, user in users.items():
        if not parser.has_section(name):
            parser.add_section(name)
        told: dict[str, str | None] = {old: getattr(user, key) for key, old in _OLD_KEYS.items()}
        # The older tool fills in values after a percent sign.
        names = json.dumps(user.organizations, ensure_ascii=False).replace("%", "\\u0025")
        told[_OLD_ORGANIZATIONS] = names if user.organizations else None
        told[_OLD_IN_KEYRING] = "true" if user.in_keyring else None
        told[_OLD_DEFAULT] = "true" if name == default else None
        for key, value in told.items():
            if value:
                parser.set(name, key, " ".join(value.split()))
            else:
                parser.remove_option(name, key)
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def _names(told: Any) -> dict[str, str]:
    return {str(name): str(key) for name, key in (told or {}).items()}
