"""What the users of any provider have in common: the system's keyring for their tokens, and their names."""

from __future__ import annotations

import importlib
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from mlygeo.errors import CredentialsError, DependencyError
from mlygeo.extras import install_hint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlygeo.providers import User

OneUser = TypeVar("OneUser", bound="User")

KEYRING_NAME = "mlygeo"
"""Name under which the system's keyring has the tokens."""


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
                "the package keyring is not installed", hint=f"{install_hint('keyring')}, or leave `keyring` out"
            ) from None

    def get(self, entry: str) -> str | None:
        """Return the token of an entry; None where it has none."""
        with self._keyring_errors("does not give the token"):
            token = self._package.get_password(KEYRING_NAME, entry)
            return None if token is None else str(token)

    def set(self, entry: str, token: str) -> None:
        """Store a token."""
        with self._keyring_errors("does not take the token"):
            self._package.set_password(KEYRING_NAME, entry, token)

    def drop(self, entry: str) -> None:
        """Forget a user's token; one that is not there is forgotten already."""
        with self._keyring_errors("does not forget the token"), suppress(self._errors.PasswordDeleteError):
            self._package.delete_password(KEYRING_NAME, entry)

    @contextmanager
    def _keyring_errors(self, what: str) -> Iterator[None]:
        """Turn the keyring's errors into ours; `what` says what a locked or missing keyring did not do."""
        try:
            yield
        except self._errors.KeyringError as error:
            reason = type(error).__name__
        else:
            return
        # Raised outside of `except`: the keyring's error could repeat the token.
        raise CredentialsError(f"the system's keyring {what} ({reason})", hint="leave `keyring` out")


def named(users: Mapping[str, OneUser], name: str) -> OneUser | None:
    """
    Return the user of a name, here before at the service; None where there is none.

    Parameters
    ----------
    users
        The users by their names here.
    name
        The name.
    """
    first = [users[name]] if name in users else []
    return next((user for user in (*first, *users.values()) if name in {user.name, user.user_name}), None)
