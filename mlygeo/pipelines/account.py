"""Signing in, and who has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlygeo.jobs import job_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    import pandas as pd

    from mlygeo.net.http import Service

    PathLike = str | os.PathLike[str]


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
) -> pd.DataFrame:
    """
    Sign in, so that images can be uploaded.

    With email and password, or with a token from Mapillary's site. What is not given is asked for
    at a terminal, and only there. The token is kept in the user's configuration folder, in a file
    that nobody else can read, or in the system's keyring; the password is not kept. Several users
    can sign in; the last one is meant where none is named. Users of mapillary_tools are known
    without signing in anew.

    Parameters
    ----------
    user_name
        What to call the user here. Default: the name at Mapillary.
    user_email
        Address of the account.
    user_password
        Password of the account. Better leave it out, and type it where it is asked for; "-" reads
        it from standard input.
    jwt
        A token of the user, in place of email and password; "-" reads it from standard input.
    user_key
        Id of the user; one that the token does not belong to is an error.
    keyring
        Keep the token in the system's keyring; needs the package keyring.
    force_overwrite
        Replace a user of this name without asking. Unless a name is given, the same account signs in
        anew without it.
    config_file
        Credentials file; one of mapillary_tools stays one. Default: the one that MAPILLARY_CONFIG_PATH
        of the environment names, else credentials.json in the user's configuration folder.
    token
        Token of an application, which a sign-in with a password needs. Better in the environment
        variable MAPILLARY_CLIENT_TOKEN, or in a file.
    token_file
        File with the token of an application. Default: as for other verbs.
    service
        The service to speak to; made from the above unless given.

    Returns
    -------
    users
        A row for each user that has signed in: name, user_name (at Mapillary), user_key,
        organization_key, is_default, in_keyring, and source, the file that it stands in.

    Raises
    ------
    InputError
        If something is missing, and there is no terminal to ask at.
    CredentialsError
        If email, password or token are not right.
    DependencyError
        If the keyring is wanted, and the package is not installed.
    ServiceError
        If the service is down.

    Examples
    --------
    >>> authenticate(user_name="jane", user_email="jane@example.org", user_password=getpass())
    """
    users: pd.DataFrame = job_of("authenticate")(**locals()).result
    return users


def edit_config(
    action: str | Iterable[str] | None = None,
    *,
    user_name: str | None = None,
    user_key: str | None = None,
    organization_key: str | None = None,
    organization_name: str | None = None,
    default: bool = False,
    config_file: PathLike | None = None,
) -> pd.DataFrame:
    """
    List, change or forget the users that have signed in.

    Parameters
    ----------
    action
        "list" (default); "edit": what the options say of the user; "remove": forget the user and the token.
    user_name
        The user in question. Default: the one that signed in last.
    user_key
        Id of the user at Mapillary.
    organization_key
        Upload for this organization from now on; empty for none.
    organization_name
        What to call it.
    default
        Make the user the one that is meant where none is named.
    config_file
        Credentials file; one of mapillary_tools stays one. Default: the one that MAPILLARY_CONFIG_PATH
        of the environment names, else credentials.json in the user's configuration folder.

    Returns
    -------
    users
        As `authenticate` returns them.

    Raises
    ------
    InputError
        If nothing says what to do.
    CredentialsError
        If there is no such user, or an older tool keeps it.

    Examples
    --------
    >>> edit_config("edit", user_name="jane", organization_key="1234567890", organization_name="city")
    """
    users: pd.DataFrame = job_of("edit_config")(**locals()).result
    return users
