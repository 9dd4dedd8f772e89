"""Signing in, and the list of signed-in users."""

from __future__ import annotations

import getpass
import re
import sys
from typing import TYPE_CHECKING

from mlygeo.errors import CredentialsError, InputError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.job import Job, public_with, version
from mlygeo.pipelines.options import Server
from mlygeo.progress import may_ask

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterable, Mapping

    import pandas as pd

    from mlygeo.net.http import Service
    from mlygeo.pipelines.options import SignedIn
    from mlygeo.pipelines.options import User as UserOptions
    from mlygeo.progress import Progress
    from mlygeo.providers import Accounts, Credentials, User
    from mlygeo.uploads.owner import Account

    PathLike = str | os.PathLike[str]

LONGEST_ANSWER = 1 << 16
"""Characters of a line that is typed, or comes from standard input."""

FROM_STDIN = "-"
"""In place of a secret: read it from standard input, where no other user sees it."""

ACTIONS = ("list", "edit", "remove")

_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Keys of users: numbers today, and 22 letters and digits in 2019."""


@public_with(Server)
def authenticate(
    *,
    user_name: str | None = None,
    user_email: str | None = None,
    user_password: str | None = None,
    jwt: str | None = None,
    user_key: str | None = None,
    keyring: bool = False,
    force_overwrite: bool = False,
    config_file: PathLike | None = None,
    token: str | None = None,
    token_file: PathLike | None = None,
    service: Service | None = None,
    provider: str | None = None,
    endpoint: str | None = None,
) -> Job[pd.DataFrame]:
    """
    Sign in with a user token, or with email, password and the client token of an application.

    You need to sign in before you upload images. With the client token of an application from
    mapillary.com/dashboard/developers, sign in with email and password; without one, sign in with your own token from
    Mapillary's site (`jwt`). In a terminal, everything else that is missing is asked for. The token is stored in the
    user configuration folder, in a file that nobody else can read, or in the keyring of the system; the password is
    not stored. Several users can sign in; if no user is named, the last one is used. Users of mapillary_tools do not
    need to sign in again.

    A Panoramax instance has no passwords: it creates a token and a link, which is shown. Open the link in a browser
    and sign in there within ten minutes to become the user of the token. The token is stored for this instance, and
    is not sent to any other server.

    Parameters
    ----------
    user_name
        Local name for the user. Default: the name at the service.
    user_email
        Email address of the account.
    user_password
        Password of the account. It is safer to leave it out and type it when asked; "-" reads it from standard
        input.
    jwt
        Token of the user, instead of email and password; "-" reads it from standard input.
    user_key
        Id of the user. It is an error if the token belongs to another user.
    keyring
        Store the token in the keyring of the system; needs the package keyring.
    force_overwrite
        Replace a user of this name without asking. Not needed to sign in again with the same account, unless you
        give a name.
    token
        Token of an application, needed to sign in with a password. It is safer in the environment variable
        MAPILLARY_CLIENT_TOKEN or in a file; the access token for the other verbs works, too.
    token_file
        File with the token of an application. Default: the same as for other verbs.

    Returns
    -------
    users
        A row for each user that has signed in: name, user_name (at the service), user_key,
        organization_key, is_default, in_keyring, and source, the file that it stands in.

    Raises
    ------
    InputError
        If something is missing, and there is no terminal to ask in.
    CredentialsError
        If email, password or token are wrong.
    DependencyError
        If the keyring is requested, and its package is not installed.
    ServiceError
        If the service is down.

    Examples
    --------
    >>> authenticate(user_name="jane", user_email="jane@example.org", user_password=getpass())
    """
    if jwt is not None:
        of_no_use(("user_email", "user_password", "token", "token_file"), "with `jwt`")
    from mlygeo.providers import needed

    who = Server(provider=provider, endpoint=endpoint).chosen(service)
    accounts = needed(who.accounts, who, "users that sign in")
    if who.has_endpoints:
        service = service or who.service(endpoint=endpoint)
    if not accounts.has_passwords:
        of_no_use(("user_email", "user_password", "token", "token_file"), f"for {who.title}, which has no passwords")
    credentials = accounts.credentials(config_file, service=service)
    if user_name is not None and user_name in credentials.users and not force_overwrite:
        _may_replace(user_name)
    if jwt is not None:
        secret = _secret(jwt, "jwt")
        if accounts.is_application(secret):
            raise CredentialsError(
                "this is the token of an application, which reads, and cannot upload",
                hint="give the token of a user, or leave `jwt` out to sign in with email and password",
            )
        signed_in = accounts.whose(accounts.with_token(service, secret), user_key)
    elif service is not None and not accounts.has_passwords:
        signed_in = accounts.sign_in_by_link(service, show=_show)
        if user_key is not None and signed_in.user_key != user_key:
            raise CredentialsError(f"this is user {signed_in.user_key}, not {user_key}")
    else:
        asked = accounts.with_token(service, accounts.application_token(token, token_file, service))
        email = user_email or _asked("email: ", "user_email")
        password = _secret(user_password, "user_password") if user_password is not None else _asked_secretly()
        signed_in = accounts.sign_in(asked, email.strip(), password)
        if user_key is not None and signed_in.user_key != user_key:
            raise CredentialsError(f"this is user {signed_in.user_key}, not {user_key}")
    name = user_name or signed_in.user_name or signed_in.user_key
    before = credentials.users.get(name)
    if user_name is None and before is not None and before.user_key != signed_in.user_key and not force_overwrite:
        # The same account signs in again without a question: only a token that may have expired is replaced.
        _may_replace(name)
    credentials.sign_in(name, signed_in, keyring=keyring)
    place = "the system's keyring" if keyring else str(credentials.path)
    there = f"{signed_in.user_name}, " if signed_in.user_name not in (None, "", name) else ""
    text = f"signed in as {name} ({there}user key {signed_in.user_key}); the token is in {place}"
    return _job(credentials, text)


def _show(link: str) -> None:
    """Show the link that signs a user in, however little else is shown."""
    sys.stderr.write(f"open this link in a browser, and sign in there: {link}\n")
    sys.stderr.flush()


def account_to_upload_with(
    user: UserOptions,
    signed_in: SignedIn,
    *,
    max_attempts: int | None,
    named: Collection[str] | None = None,
    progress: Progress | None = None,
) -> Account:
    """
    Return the account to upload with; at a terminal, a user who has not signed in is asked to do so first.

    The user is shown before anything is sent.

    Parameters
    ----------
    user, signed_in, max_attempts
        The options of the upload.
    named
        Users that the images name; None if the images are not known.
    progress
        Where the user is shown.

    Raises
    ------
    CredentialsError
        If nobody has signed in, and there is no terminal to ask at; or another user than the images name.
    """
    from mlygeo.uploads.owner import account_of

    def found() -> Account:
        return account_of(
            service=signed_in.service, user_name=user.user_name, token=signed_in.token, token_file=signed_in.token_file,
            max_attempts=max_attempts, config_file=signed_in.config_file, named=named,
        )  # fmt: skip

    try:
        account = found()
    except CredentialsError as error:
        if not _is_new(user.user_name, signed_in, named or ()):
            raise
        sys.stderr.write(f"{error}\n")
        authenticate(user_name=user.user_name or next(iter(named or ()), None), config_file=signed_in.config_file)
        account = found()
    if progress is not None:
        progress.note(f"uploading as {account.user_name or account.user_key} (user key {account.user_key})")
    return account


def _is_new(user_name: str | None, signed_in: SignedIn, named: Collection[str]) -> bool:
    """Return whether the user of an upload has not signed in, and can be asked to."""
    if any(given is not None for given in (signed_in.service, signed_in.token, signed_in.token_file)):
        return False
    users = _accounts(None).credentials(signed_in.config_file)
    if not may_ask() or users.token_beside() is not None or len(set(named)) > 1:
        return False
    name = user_name or next(iter(named), None)
    return not users.users if name is None else users.named(name) is None


@public_with(Server)
def edit_config(
    action: str | Iterable[str] | None = None,
    *,
    user_name: str | None = None,
    user_key: str | None = None,
    organization_key: str | None = None,
    organization_name: str | None = None,
    default: bool = False,
    config_file: PathLike | None = None,
    provider: str | None = None,
    endpoint: str | None = None,
) -> Job[pd.DataFrame]:
    """
    List, change or remove the users that have signed in.

    Parameters
    ----------
    action
        "list" (default) shows the users. "edit" changes a user according to the options. "remove" deletes the user
        and the token.
    user_name
        The user. Default: the one who signed in last.
    user_key
        Id of the user at Mapillary.
    organization_key
        Upload for this organization from now on; empty for none.
    organization_name
        Local name for this organization.
    default
        Make this the user who is used if no name is given.

    Returns
    -------
    users
        As `authenticate` returns them.

    Raises
    ------
    InputError
        If nothing says what to do.
    CredentialsError
        If there is no such user, or its token is stored by an older tool.

    Examples
    --------
    >>> edit_config("edit", user_name="jane", organization_key="1234567890", organization_name="city")
    """
    words = [action] if isinstance(action, str) else list(action or ["list"])
    if len(words) != 1 or words[0] not in ACTIONS:
        raise InputError(f"{' '.join(map(str, words))[:60]!r} is nothing to do", hint=f"one of {', '.join(ACTIONS)}")
    if words[0] != "edit":
        changes = ("user_key", "organization_key", "organization_name", "default")
        of_no_use(changes if words[0] == "remove" else ("user_name", *changes), f"with the action `{words[0]}`")
    from mlygeo.providers import needed

    who = Server(provider=provider, endpoint=endpoint).chosen()
    accounts = needed(who.accounts, who, "users that sign in")
    if not accounts.has_passwords:
        of_no_use(("user_key", "organization_key", "organization_name"), f"for {who.title}")
    credentials = accounts.credentials(config_file, service=who.service(endpoint=endpoint) if endpoint else None)
    if words[0] == "list":
        return _job(credentials, f"{len(credentials.users)} users have signed in", shown=True)
    if words[0] == "remove":
        if user_name is None:
            raise InputError("no user to remove is given", hint="give `user_name`")
        credentials.remove(user_name)
        return _job(credentials, f"user {user_name} and the token are forgotten")
    if user_key is None and organization_key is None and organization_name is None and not default:
        raise InputError("no change is given", hint="give `organization_key`, `user_key` or `default`")
    if user_key is not None and not _KEY.fullmatch(user_key):
        raise InputError(f"{user_key[:40]!r} is not a key of a user", hint="keys are letters and digits")

    def organization(user: User) -> tuple[str | None, Mapping[str, str]]:
        return _organization(user, organization_key, organization_name, accounts)

    user = credentials.edit(user_name, user_key=user_key, organization=organization, default=default)
    return _job(credentials, f"user {user.name} was changed")


def _organization(
    user: User, key: str | None, name: str | None, accounts: Accounts
) -> tuple[str | None, Mapping[str, str]]:
    """Return the organization that a user uploads for from now on, and all known ones, by their names."""
    organizations = dict(user.organizations)
    if key is not None and key != "" and not accounts.is_organization(key):
        raise InputError(f"{key[:40]!r} is not a key of an organization", hint="keys are whole numbers")
    if name is not None and key:
        organizations[name] = key
    elif name is not None:
        known = {each.casefold(): each_key for each, each_key in organizations.items()}
        if name.casefold() not in known:
            raise InputError(f"no organization {name!r} is known", hint="give `organization_key` with it")
        key = known[name.casefold()]
    if key is None:
        return user.organization_key, user.organizations
    return key or None, organizations


def _job(credentials: Credentials, text: str, *, shown: bool = False) -> Job[pd.DataFrame]:
    users = credentials.users
    summary = {
        "users": sorted(users), "default": credentials.default, "file": str(credentials.path), "version": version(),
    }  # fmt: skip
    lines = "\n".join(_line(user, is_default=user.name == credentials.default) for user in users.values())
    return Job(lambda: _frame(credentials), summary, text, text=(lambda: lines) if shown and users else None)


def _line(user: User, *, is_default: bool) -> str:
    parts = [user.name, f"user key {user.user_key or 'unknown'}"]
    parts += [f"organization {user.organization_key}"] * bool(user.organization_key)
    parts += ["token in the keyring"] * user.in_keyring + ["default"] * is_default
    return f"{', '.join(parts)} ({user.source})"


def _frame(credentials: Credentials) -> pd.DataFrame:
    import pandas as pd

    rows = [
        (user.name, user.user_name, user.user_key, user.organization_key, user.name == credentials.default,
         user.in_keyring, None if user.source is None else str(user.source))
        for user in credentials.users.values()
    ]  # fmt: skip
    names = ["name", "user_name", "user_key", "organization_key", "is_default", "in_keyring", "source"]
    frame: pd.DataFrame = pd.DataFrame.from_records(rows, columns=names)
    return frame.astype({name: "bool" if name.startswith(("is_", "in_")) else "str" for name in names})


def _accounts(service: Service | None) -> Accounts:
    from mlygeo.providers import needed, provider_of

    who = provider_of(service)
    return needed(who.accounts, who, "users that sign in")


def _title() -> str:
    from mlygeo.providers import provider

    return provider().title


def _asked(prompt: str, option: str) -> str:
    if not may_ask():
        raise InputError(f"`{option}` is missing, and there is no terminal to ask at", hint=f"give `{option}`")
    sys.stderr.write(f"{_title()} {prompt}")
    sys.stderr.flush()
    return sys.stdin.readline(LONGEST_ANSWER).strip()


def _asked_secretly() -> str:
    if not may_ask():
        raise InputError(
            "`user_password` is missing, and there is no terminal to ask at",
            hint="give '`user_password='-'`' and the password on standard input",
        )
    return getpass.getpass(f"{_title()} password: ")


def _secret(given: str, option: str) -> str:
    """Return a secret; read it from standard input if it is a dash."""
    if given == FROM_STDIN and sys.stdin is None:
        raise InputError(
            f"`{option}='-'` reads standard input, which is closed",
            hint=f"give it there: '`{option}='-'`' with '< FILE'",
        )
    secret = sys.stdin.readline(LONGEST_ANSWER).rstrip("\r\n") if given == FROM_STDIN else given
    if not secret:
        raise InputError(f"`{option}` is empty")
    return secret


def _may_replace(name: str) -> None:
    if not may_ask():
        raise InputError(f"user {name} has signed in before", hint="give `force_overwrite=True` to sign in anew")
    if _asked(f"user {name} has signed in before; sign in anew? [y/N] ", "force_overwrite").lower() not in {
        "y",
        "yes",
    }:
        raise InputError(f"user {name} stays as before", hint="give another `user_name`")
