"""Whose uploads they are: the token of a user, the user's name, and the organization."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mlygeo.errors import CredentialsError, InputError

if TYPE_CHECKING:
    from mlygeo.credentials import User
    from mlygeo.service.http import Service

log = logging.getLogger("mlygeo.jobs")


@dataclass(frozen=True)
class Account:
    """
    A user at the service.

    Parameters
    ----------
    service
        The service, with the user's token.
    user_key, user_name
        Whose it is.
    user
        What is kept of the user on this machine; None where nothing is.
    """

    service: Service
    user_key: str
    user_name: str | None
    user: User | None


def account_of(
    *, service: Service | None, user_name: str | None, token: str | None, token_file: Any, max_attempts: int | None
) -> Account:
    """
    Return the account to upload with; the service is asked whose token it is.

    Raises
    ------
    CredentialsError
        If nobody has signed in.
    ServiceError
        If the service refuses the token, or is down.
    """
    from mlygeo import credentials
    from mlygeo.service.http import Service
    from mlygeo.service.sign_in import whose
    from mlygeo.service.uploads import UPLOAD_RETRY

    user = None
    if service is None:
        found, user = credentials.upload_token(user_name, token=token, token_file=token_file)
        service = Service.from_environment(token=found, retry=UPLOAD_RETRY)
    if max_attempts is not None:
        service = replace(service, retry=replace(service.retry, attempts=max_attempts))
    signed_in = whose(service)
    log.info("uploading as %s (user key %s)", signed_in.user_name, signed_in.user_key)
    return Account(service, signed_in.user_key, signed_in.user_name, user)


def organization_of(account: Account, key: str | None, name: str | None, *, told: set[str] | None = None) -> str | None:
    """
    Return the key of the organization to upload for, after asking the service for it; None for none.

    Parameters
    ----------
    account
        The account.
    key, name
        As the caller names it: by its key, or by a name under which it was used before.
    told
        Keys that the images' descriptions name.

    Raises
    ------
    InputError
        If the descriptions name several.
    CredentialsError
        If there is none of this name, or none of this key for this user.
    """
    from mlygeo.service.answers import RefusedError
    from mlygeo.service.graph import Graph

    user = account.user
    if key is None and name is not None:
        key = _key_of(name, user)
    if key is None and told:
        if len(told) > 1:
            raise InputError(f"the images are for several organizations: {', '.join(sorted(told))}",
                             hint="upload them one after another, or give --organization-key")  # fmt: skip
        key = next(iter(told))
    if key is None and user is not None:
        key = user.organization_key
    if key is None:
        return None
    if not (key.isascii() and key.isdigit()):
        raise InputError(f"{key[:40]!r} is no key of an organization", hint="keys are whole numbers")
    try:
        with Graph(account.service, workers=1) as graph:
            record = graph.organization(key)
    except RefusedError as error:
        raise CredentialsError(f"there is no organization {key} for this user ({error})") from None
    log.info("uploading for the organization %s (%s)", record.get("name"), key)
    _remember(user, key, record)
    return key


def _key_of(name: str, user: User | None) -> str:
    known = {} if user is None else {each.casefold(): key for each, key in user.organizations.items()}
    if name.casefold() in known:
        return known[name.casefold()]
    if name.isascii() and name.isdigit():
        return name
    raise CredentialsError(
        f"no organization {name!r} was used before"
        + (f"; known are {', '.join(sorted(user.organizations))}" if user is not None and user.organizations else ""),
        hint="the service finds them by key only: give --organization-key once, and the name is known from then",
    )


def _remember(user: User | None, key: str, record: dict[str, Any]) -> None:
    """Keep the names of an organization, so that it can be named the next time."""
    from mlygeo.credentials import Credentials, default_path

    names = {str(record[part]): key for part in ("slug", "name") if record.get(part)}
    if user is None or user.source != default_path() or names.items() <= user.organizations.items():
        return
    Credentials().change(replace(user, organizations={**user.organizations, **names}))
