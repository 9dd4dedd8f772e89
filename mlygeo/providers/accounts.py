"""What a provider can do for its users: sign them in, and keep who they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mlygeo.net.http import Service

    PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class SignedIn:
    """
    A token and its owner.

    Parameters
    ----------
    token
        The user's token; never shown.
    user_key
        Id of the user.
    user_name
        Name of the user; None where the service does not say.
    """

    token: str = field(repr=False)
    user_key: str
    user_name: str | None = None


class User(Protocol):
    """The entry of a signed-in user on this machine."""

    @property
    def name(self) -> str:
        """Name of the user here."""

    @property
    def user_name(self) -> str | None:
        """Name of the user at the service."""

    @property
    def user_key(self) -> str | None:
        """Id of the user."""

    @property
    def organization_key(self) -> str | None:
        """The default organization of uploads."""

    @property
    def organizations(self) -> Mapping[str, str]:
        """Keys of organizations that were used, by their names."""

    @property
    def in_keyring(self) -> bool:
        """Whether the system's keyring has the token."""

    @property
    def source(self) -> Path | None:
        """The file of this entry."""


class Credentials(Protocol):
    """The users that have signed in on this machine."""

    path: Path
    """The file with the users."""

    @property
    def default(self) -> str | None:
        """The default user."""

    @property
    def users(self) -> Mapping[str, User]:
        """The users by name."""

    def named(self, name: str) -> User | None:
        """Return the user of a name, here or at the service; None where there is none."""

    def token_beside(self) -> str | None:
        """Return a user's token in the environment; None if there is none, or only a given file is used."""

    def sign_in(self, name: str, signed_in: SignedIn, *, keyring: bool) -> None:
        """Store a signed-in user under a name; if requested, with the token in the system's keyring."""

    def edit(
        self,
        name: str | None,
        *,
        user_key: str | None,
        organization: Callable[[User], tuple[str | None, Mapping[str, str]]],
        default: bool,
    ) -> User:
        """
        Change the entry of a user; return the user.

        Parameters
        ----------
        name
            The user; by default the default user.
        user_key
            Id of the user; None leaves it.
        organization
            Function that returns the organization to upload for, and all known ones, from the stored entry.
        default
            Make it the default user.
        """

    def remove(self, name: str) -> None:
        """Forget a user and the token."""


class Accounts(Protocol):
    """Users: sign-in, what is kept of them, and organizations."""

    has_passwords: bool
    """Whether users sign in with email and password; otherwise with a link that they open in a browser."""

    def credentials(self, path: PathLike | None = None, *, service: Service | None = None) -> Credentials:
        """
        Return the signed-in users: those of this machine, or of a given file.

        Parameters
        ----------
        path
            The file.
        service
            The service whose users they are, where there are several servers.
        """

    def sign_in_by_link(self, service: Service, *, show: Callable[[str], object]) -> SignedIn:
        """
        Sign a user in who opens a link in a browser, and wait for that.

        Parameters
        ----------
        service
            The service.
        show
            Called with the link.

        Raises
        ------
        CredentialsError
            If nobody has opened it in time.
        """

    def is_application(self, token: str) -> bool:
        """Return whether a token is one of an application, which can read, but not upload."""

    def application_token(self, token: str | None, token_file: PathLike | None, service: Service | None) -> str:
        """
        Return the token of an application, which a sign-in with a password needs.

        Raises
        ------
        CredentialsError
            If there is none.
        """

    def with_token(self, service: Service | None, token: str) -> Service:
        """Return a service, that of the environment unless given, with another token."""

    def sign_in(self, service: Service, email: str, password: str) -> SignedIn:
        """Sign a user in; the service has the token of an application."""

    def whose(self, service: Service, user_key: str | None = None) -> SignedIn:
        """Return the owner of a service's token; raise CredentialsError if it is not the given user."""

    def upload_token(
        self,
        user_name: str | None,
        *,
        token: str | None,
        token_file: PathLike | None,
        credentials: Credentials | None,
    ) -> tuple[str, User | None]:
        """
        Return the token to upload with, and its owner if known.

        Raises
        ------
        CredentialsError
            If there is none.
        """

    def is_organization(self, key: str) -> bool:
        """Return whether a text has the form of an organization's key."""

    def organization(self, service: Service, key: str) -> dict[str, str]:
        """
        Return the names of an organization by their kind: "name", "slug".

        Raises
        ------
        RefusedError
            If the service does not show an organization of this key to the user.
        """

    def remember_organizations(self, user: User | None, names: Mapping[str, str]) -> None:
        """Store names of organizations with their keys, so that later calls can use the names."""
