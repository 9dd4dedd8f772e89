"""
Providers of street-level images: their capabilities, and the list of providers.

Each is a folder beside this file, and a line in `PROVIDERS`; or an installed package that names its module
under the entry point `mlygeo.providers`. Code outside the folder uses the object that `provider` returns, by
the Protocols of `images`, `uploads` and `accounts`; only the folder knows addresses, names of fields and layers,
forms of keys and codes of errors. A capability that a provider lacks is None, so that the caller has to handle
this case; see `needed`.
"""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Protocol, TypeVar

from mlygeo.errors import InputError
from mlygeo.providers.accounts import Accounts, Credentials, SignedIn, User
from mlygeo.providers.images import (
    Batch,
    Entities,
    Exports,
    Licence,
    Pictures,
    Record,
    Records,
    Search,
    Searching,
    Sequences,
    Session,
    TilePlan,
    Tiles,
)
from mlygeo.providers.uploads import (
    Descriptions,
    Rules,
    SetFile,
    SetState,
    Terms,
    UploadKind,
    Uploads,
    UploadSession,
    UploadSets,
    UploadSetSession,
    UploadSource,
)
from mlygeo.schemas import DEFAULT_PROVIDER as DEFAULT

if TYPE_CHECKING:
    import os
    from importlib.metadata import EntryPoint

    from mlygeo.keys import Keys
    from mlygeo.net.http import Retry, Service

    PathLike = str | os.PathLike[str]

__all__ = [
    "ENTRY_POINTS", "PROVIDERS", "Accounts", "Batch", "Credentials", "Descriptions", "Entities", "Exports", "Licence",
    "Pictures", "Provider", "Record", "Records", "Rules", "Search", "Searching", "Sequences", "Session", "SetFile",
    "SetState", "SignedIn", "Terms", "TilePlan", "Tiles", "UploadKind", "UploadSession", "UploadSetSession",
    "UploadSets", "UploadSource", "Uploads", "User", "attribution_of", "descriptions", "export_at", "names", "needed",
    "provider", "provider_of",
]  # fmt: skip

PROVIDERS = {
    "mapillary": "mlygeo.providers.mapillary.provider",
    "panoramax": "mlygeo.providers.panoramax.provider",
}
"""Name of each provider -> the module that has it as `PROVIDER`; it is imported at the first use."""

ENTRY_POINTS = "mlygeo.providers"
"""The group of entry points by which installed packages name providers: name = module with `PROVIDER`."""

Capability = TypeVar("Capability")


def names() -> list[str]:
    """Return the names of all providers: those of this package, and those of installed packages."""
    return [*PROVIDERS, *sorted(_installed().keys() - PROVIDERS.keys())]


def provider(name: str = DEFAULT) -> Provider:
    """
    Return a provider.

    Parameters
    ----------
    name
        Its name: one of `names`.

    Raises
    ------
    InputError
        If there is none of this name, or the package that brings it cannot be loaded.
    """
    if name in PROVIDERS:
        found: Provider = importlib.import_module(PROVIDERS[name]).PROVIDER
        return found
    entry = _installed().get(name)
    if entry is None:
        raise InputError(f"there is no provider {name[:40]!r}", hint=f"one of {', '.join(names())}")
    try:
        module = entry.load()
    except Exception as error:
        raise InputError(f"the provider {name!r} ({entry.value}) cannot be loaded: {error}") from error
    loaded: Provider = getattr(module, "PROVIDER", module)
    if getattr(loaded, "name", None) != name:
        raise InputError(f"the provider {name!r} ({entry.value}) has no `PROVIDER` of this name")
    return loaded


@functools.cache
def _installed() -> dict[str, EntryPoint]:
    """Return the entry points of installed packages, by the name of the provider."""
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}


def attribution_of(name: str, licence: str | None = None) -> str | None:
    """
    Return the attribution of a provider's data as a whole.

    Parameters
    ----------
    name
        Name of the provider.
    licence
        Licence of the data; None where it is unknown.

    Returns
    -------
    attribution
        None where no provider of this name is known here, or where this is not the licence of all its images.
    """
    who = provider(name) if name in names() else None
    of_all = who is not None and (licence is None or (who.licence is not None and who.licence.name == licence))
    return who.attribution if who is not None and of_all else None


def provider_of(service: Service | None) -> Provider:
    """
    Return the provider of a service.

    Parameters
    ----------
    service
        The service; None means that of the default provider.
    """
    return provider(DEFAULT if service is None else service.provider)


def needed(capability: Capability | None, who: Provider, what: str) -> Capability:
    """
    Return a capability of a provider.

    Parameters
    ----------
    capability
        One of its capabilities; None if the provider lacks it.
    who
        The provider.
    what
        Purpose of the capability, for the message.

    Raises
    ------
    InputError
        If the provider does not have it.
    """
    if capability is None:
        raise InputError(f"{who.title} has no {what}")
    return capability


def export_at(address: str) -> Exports | None:
    """Return what reads a file of all images at an address of the web; None where no provider does."""
    found = (who.exports for who in map(provider, PROVIDERS))
    return next((exports for exports in found if exports is not None and exports.is_one(address)), None)


def descriptions() -> Descriptions:
    """Return the format of local photos' descriptions for any provider: that of the first one."""
    who = provider()
    return needed(who.descriptions, who, "descriptions of photos")


class Provider(Protocol):
    """A provider of street-level images. Capabilities that it does not have are None."""

    @property
    def name(self) -> str:
        """Its name, as in `PROVIDERS` and in `mlygeo.net.http.Service.provider`."""

    @property
    def title(self) -> str:
        """Its name in sentences."""

    @property
    def attribution(self) -> str:
        """Attribution of its data, with the licence where all images have the same."""

    @property
    def licence(self) -> Licence | None:
        """Licence of all its images; None where each has its own."""

    @property
    def page(self) -> str | None:
        """Address of a picture's page for people, with {id} for its id; None where there are none."""

    @property
    def needs_token(self) -> bool:
        """Whether reading needs an access token."""

    @property
    def has_endpoints(self) -> bool:
        """Whether there are several servers, of which one can be named by its address."""

    @property
    def keys(self) -> Keys:
        """The form of the keys of its images."""

    @property
    def tiles(self) -> Tiles | None:
        """Images by area, from tiles in a cache on disk."""

    @property
    def records(self) -> Records | None:
        """Images by id, sequence, person and place: the service's records."""

    @property
    def pictures(self) -> Pictures | None:
        """The pictures themselves."""

    @property
    def exports(self) -> Exports | None:
        """Files of all its images, on a server."""

    @property
    def uploads(self) -> Uploads | None:
        """Uploads."""

    @property
    def upload_sets(self) -> UploadSets | None:
        """Uploads of whole folders, which the service itself cuts into sequences."""

    @property
    def accounts(self) -> Accounts | None:
        """Users: sign-in, what is kept of them, and organizations."""

    @property
    def descriptions(self) -> Descriptions | None:
        """What is said of local photos, in them and beside them, in the provider's own format."""

    def service(
        self,
        *,
        token: str | None = None,
        token_file: PathLike | None = None,
        retry: Retry | None = None,
        endpoint: str | None = None,
    ) -> Service:
        """
        Return the service by the environment and the user's files.

        Parameters
        ----------
        token, token_file
            The access token, or a file with it; looked for in the usual places unless given.
        retry
            How failed requests are tried again, where that is not as usual.
        endpoint
            Address of one of its servers, where it `has_endpoints`; by default as the environment has it.

        Raises
        ------
        CredentialsError
            If the service needs an access token, and there is none.
        ConfigError
            If the environment has an invalid address.
        InputError
            If `endpoint` is not an address, or there is but one server.
        """
