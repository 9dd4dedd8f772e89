"""Sign-in: from an email and a password, or a token, to whose it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlygeo.errors import CredentialsError, FormatError, ServiceError
from mlygeo.net.answers import RefusedError, redact
from mlygeo.providers import SignedIn
from mlygeo.providers.mapillary.graph import Graph
from mlygeo.providers.mapillary.uploads import Uploads

if TYPE_CHECKING:
    from mlygeo.providers.mapillary.service import Service


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
    if not isinstance(token, str) or not token or not isinstance(key, str | int) or isinstance(key, bool):
        raise FormatError("the answer has no token")
    return token, str(key)
