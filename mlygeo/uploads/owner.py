"""The owner of uploads: the token of a user, the user's name, and the organization."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mlygeo.errors import CredentialsError, InputError, TokenRejectedError
from mlygeo.providers import needed, provider_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from mlygeo.net.http import Retry, Service
    from mlygeo.providers import Accounts, Credentials, Provider, User
    from mlygeo.uploads.items import Owner

log = logging.getLogger("mlygeo.uploads")


def account_of(
    *,
    service: Service | None,
    user_name: str | None,
    token: str | None,
    token_file: Any,
    max_attempts: int | None,
    config_file: Any = None,
    named: Collection[str] | None = None,
) -> Account:
    """
    Return the account to upload with, after asking the service for the owner of the token.

    A given service, token or user is used, whatever the images name.

    Parameters
    ----------
    service, user_name, token, token_file, max_attempts, config_file
        The arguments of the call.
    named
        Users that the images name; None if the images are not known. If the call has no user, it must be a single
        one, who has signed in or whose token is in the environment.

    Raises
    ------
    CredentialsError
        If nobody has signed in, or another user than the images name.
    InputError
        If they name several.
    ServiceError
        If the service refuses the token, or is down.
    """
    provider = provider_of(service)
    accounts = needed(provider.accounts, provider, "users that sign in")
    user, expected, asked, chosen = None, None, None, user_name or token or token_file or service
    if service is None:
        users = accounts.credentials(config_file) if token is None and token_file is None else None
        if users is not None and user_name is None:
            user_name, expected = _named_user(users, named or ())
        elif users is not None and user_name is not None and not users.named(user_name) and users.token_beside():
            user_name, asked = None, user_name
        found, user = accounts.upload_token(user_name, token=token, token_file=token_file, credentials=users)
        if expected is not None and user is not None:  # the only token is another user's
            raise _not_signed_in(expected, "who has not signed in")
        service = provider.service(token=found, retry=needed(provider.uploads, provider, "uploads").retry)
    if max_attempts is not None:
        service = replace(service, retry=replace(service.retry, attempts=max_attempts))
    with _sign_in_hint():
        signed_in = accounts.whose(service)
    if expected is not None and expected != signed_in.user_name:
        raise _not_signed_in(expected, f"and the access token is that of {signed_in.user_name}")
    if asked is not None and asked != signed_in.user_name:
        raise CredentialsError(
            f"the user {asked!r} is asked for, and the access token in the environment is that of "
            f"{signed_in.user_name!r}",
            hint=f"sign in with 'mlygeo authenticate --user-name {asked}', or leave `user_name` out",
        )
    if named is not None:
        _say_whose(signed_in.user_name or signed_in.user_key, user, named, chosen=chosen is not None)
    log.info("uploading as %s (user key %s)", signed_in.user_name, signed_in.user_key)
    return Account(service, provider, signed_in.user_key, signed_in.user_name, user)


def account_at(
    provider: Provider,
    *,
    endpoint: str | None,
    service: Service | None,
    user_name: str | None,
    token: str | None,
    token_file: Any,
    config_file: Any,
    max_attempts: int | None,
    retry: Retry,
) -> Account:
    """
    Return the account to upload with at one of several servers, after asking it for the owner of the token.

    Parameters
    ----------
    provider
        The provider.
    endpoint
        Address of the server; by default that of the environment.
    service, user_name, token, token_file, config_file, max_attempts
        The arguments of the call.
    retry
        How failed requests are tried again, unless the service says otherwise.

    Raises
    ------
    CredentialsError
        If nobody has signed in there, or not this user.
    ServiceError
        If the service refuses the token, or is down.
    """
    accounts = needed(provider.accounts, provider, "users that sign in")
    user = None
    if service is None:
        place = provider.service(endpoint=endpoint, retry=retry)
        users = accounts.credentials(config_file, service=place)
        found, user = accounts.upload_token(user_name, token=token, token_file=token_file, credentials=users)
        service = accounts.with_token(place, found)
    elif service.token is None:
        raise CredentialsError("`service` has no token, and uploads need that of a user", hint=service.token_hint)
    if max_attempts is not None:
        service = replace(service, retry=replace(service.retry, attempts=max_attempts))
    signed_in = accounts.whose(service)
    if user_name is not None and user is None and user_name != signed_in.user_name:
        raise CredentialsError(
            f"the user {user_name!r} is asked for, and the access token is that of {signed_in.user_name!r}",
            hint="leave `user_name` out",
        )
    log.info("uploading as %s (user key %s)", signed_in.user_name, signed_in.user_key)
    return Account(service, provider, signed_in.user_key, signed_in.user_name, user)


@dataclass(frozen=True)
class Account:
    """
    A user at the service.

    Parameters
    ----------
    service
        The service with the user's token.
    provider
        The provider of the service.
    user_key, user_name
        Key and name of the user.
    user
        The user's entry on this machine; None if there is none.
    """

    service: Service
    provider: Provider
    user_key: str
    user_name: str | None
    user: User | None

    @property
    def accounts(self) -> Accounts:
        """The provider's functions for users."""
        return needed(self.provider.accounts, self.provider, "users that sign in")


def organization_of(account: Account, key: str | None, name: str | None) -> str | None:
    """
    Return the key of the organization for images that name none; None for none.

    See `organizations_of`.
    """
    from mlygeo.uploads.items import Owner

    return organizations_of(account, key, name, owners=[Owner()])[Owner()]


def organizations_of(
    account: Account, key: str | None, name: str | None, *, owners: Iterable[Owner]
) -> dict[Owner, str | None]:
    """
    Return the organizations to upload for, after asking the service for each of them.

    An organization given in the call is used for all images. Else an image is uploaded for the
    organization that it names, or for the user's default one (see 'mlygeo config edit'), or without an
    organization.

    Parameters
    ----------
    account
        The account.
    key, name
        The organization of the call: its key, or a name under which it was used before. An empty key
        means none, whatever the images name.
    owners
        The owners that the images name.

    Returns
    -------
    keys
        The key for each owner; None for none.

    Raises
    ------
    InputError
        If a key is invalid.
    CredentialsError
        If there is no organization of this name, or the service does not show it to this user: because
        it does not exist, or because the user is not a member.
    """
    user = account.user
    default = None if user is None else user.organization_key
    chosen: dict[Owner, str | None]
    if key is not None:
        chosen = dict.fromkeys(owners, key or None)
    elif name is not None:
        chosen = dict.fromkeys(owners, _key_of(name, account))
    else:
        chosen = {owner: _named_key(owner, account) or default for owner in owners}
    _ask(account, sorted({each for each in chosen.values() if each is not None}))
    return chosen


@contextlib.contextmanager
def _sign_in_hint() -> Iterator[None]:
    """Tell how a user signs in, if the service refuses the token; other tokens are those of applications."""
    try:
        yield
    except TokenRejectedError as error:
        raise TokenRejectedError(str(error), hint="sign in again with 'mlygeo authenticate'") from error


def _say_whose(name: str, user: User | None, named: Collection[str], *, chosen: bool) -> None:
    """
    Warn where the images go up as a user whom they do not name.

    Parameters
    ----------
    name
        Who they go up as.
    user
        The entry of that user on this machine.
    named
        Users that the images name.
    chosen
        Whether the call says who they go up as.
    """
    others = sorted(set(named) - {name})
    if others and user is not None and user.name in others:
        log.warning(
            "the images name the user %s, who signed in here with the token of %s: they are uploaded as %s",
            user.name, name, name,
        )  # fmt: skip
    elif others:
        log.warning("the images name the user %s, and are uploaded as %s", ", ".join(others), name)
    elif not named and not chosen:
        log.warning("the images name no user; they are uploaded as %s, who signed in last", name)


def _named_user(users: Credentials, named: Collection[str]) -> tuple[str | None, str | None]:
    """Return the user that images name: a signed-in user's name, or the name that the token must belong to."""
    found = {name: users.named(name) for name in sorted(named)}
    known = {name: None if user is None else user.name for name, user in found.items()}
    if len({signed_in or name for name, signed_in in known.items()}) > 1:
        raise InputError(
            f"the images name several users: {', '.join(known)}",
            hint="upload what is of each by itself, or give `user_name` to upload all as one",
        )
    for name, signed_in in known.items():
        return (None, name) if signed_in is None else (signed_in, None)
    return None, None


def _not_signed_in(name: str, what: str) -> CredentialsError:
    return CredentialsError(
        f"the images name the user {name!r}, {what}",
        hint=f"sign in with 'mlygeo authenticate --user-name {name}', or upload them as another with `user_name`",
    )


def _named_key(owner: Owner, account: Account) -> str | None:
    if owner.organization_key is None and owner.organization_name is not None:
        return _key_of(owner.organization_name, account)
    return owner.organization_key


def _ask(account: Account, keys: list[str]) -> None:
    """Ask the service for organizations, and store their names."""
    from mlygeo.net.answers import RefusedError

    accounts = account.accounts
    for key in keys:
        if not accounts.is_organization(key):
            raise InputError(
                f"{key[:40]!r} is not a key of an organization",
                hint="keys are whole numbers; `organization_key` counts for all images, and 'none' means none",
            )
    for key in keys:
        try:
            with _sign_in_hint():
                names = accounts.organization(account.service, key)
        except RefusedError as error:
            raise CredentialsError(f"there is no organization {key} for this user ({error})") from None
        log.info("uploading for the organization %s (%s)", names.get("name"), key)
        accounts.remember_organizations(account.user, dict.fromkeys(names.values(), key))


def _key_of(name: str, account: Account) -> str:
    user = account.user
    known = {} if user is None else {each.casefold(): key for each, key in user.organizations.items()}
    if name.casefold() in known:
        return known[name.casefold()]
    if account.accounts.is_organization(name):
        return name
    raise CredentialsError(
        f"no organization {name!r} was used before"
        + (f"; known are {', '.join(sorted(user.organizations))}" if user is not None and user.organizations else ""),
        hint="the service finds them by key only: give `organization_key` once, and the name is known from then",
    )
