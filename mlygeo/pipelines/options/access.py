"""Options on which service is spoken to, and as whom."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from mlygeo.errors import InputError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.options.groups import dataclass

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from mlygeo.config import Config
    from mlygeo.net.http import Service
    from mlygeo.providers import Provider, Records
    from mlygeo.readers.id_lists import Own

    PathLike = str | os.PathLike[str]

_ENDPOINTS = "name a `provider` that has several, such as panoramax"


@dataclass(frozen=True, kw_only=True)
class Access:
    """
    How the service is reached.

    Parameters
    ----------
    token
        Access token. It is safer in a file or environment variable, because other users can see command lines.
    token_file
        File with the access token. Default: the environment variable MAPILLARY_ACCESS_TOKEN, then token.txt in the
        working folder, then token.txt in the user configuration folder.
    service
        The service to ask; made from the other parameters unless given.
    provider
        Provider of the images: mapillary, panoramax, or one added by an installed package. Can be given several
        times. Default: mapillary.
    endpoint
        Address of the server, such as https://panoramax.ign.fr/api; for providers with several servers.
    """

    token: str | None
    token_file: PathLike | None
    service: Service | None
    provider: str | Iterable[str] | None
    endpoint: str | None

    def __post_init__(self) -> None:
        """Raise for providers that there are not, and for what has no effect with those that are named."""
        if self.provider is not None and not self._named:
            raise InputError("`provider` names none", hint="leave it out to ask Mapillary")
        if self.service is not None:
            of_no_use(("endpoint",), "with `service`")
            if odd := [name for name in self._named if name != self.service.provider]:
                raise InputError(f"`service` is of {self.service.provider}, and `provider` asks for {odd[0]}")
        if self._named:
            self.check_use()

    @property
    def _named(self) -> list[str]:
        """The names that were given, each once."""
        given = self.provider
        names = [] if given is None else [given] if isinstance(given, str) else list(given)
        return list(dict.fromkeys(name.strip().lower() for name in names))

    @cached_property
    def providers(self) -> list[Provider]:
        """The providers whose services they are, in the order in which they were named."""
        from mlygeo.providers import provider, provider_of

        return [provider(name) for name in self._named] or [provider_of(self.service)]

    def check_use(self, names: Iterable[str] | None = None) -> None:
        """
        Raise for an address or a token that is given for none of the providers that are asked.

        Where the caller names no provider, their images do so.

        Parameters
        ----------
        names
            Their names; those of the caller, or the default, unless given.

        Raises
        ------
        InputError
            If `endpoint` is given and none of them has several, or a token and none of them needs one.
        """
        from mlygeo.providers import provider

        asked = self.providers if names is None else [provider(name) for name in names]
        if self.service is not None or not asked:
            return
        shown = " and ".join(who.title for who in asked)
        if self.endpoint is not None and not any(who.has_endpoints for who in asked):
            which = "which has one service" if len(asked) == 1 else "which have one service each"
            raise InputError(f"`endpoint` has no effect for {shown}, {which}", hint=_ENDPOINTS)
        has_token = self.token is not None or self.token_file is not None  # uploads have one to sign in with
        if has_token and not any(who.needs_token for who in asked):
            needs = "needs" if len(asked) == 1 else "need"
            of_no_use(("token", "token_file"), f"to read from {shown}, which {needs} none")

    def of_each(self) -> list[Access]:
        """
        Return the way to each provider.

        Raises
        ------
        InputError
            If `endpoint` is given for none that has several.
        """
        self.check_use()
        return self._each()

    def _each(self) -> list[Access]:
        if len(self.providers) == 1:
            return [self]
        return [
            Access(
                token=self.token if who.needs_token else None,
                token_file=self.token_file if who.needs_token else None,
                service=None,
                provider=who.name,
                endpoint=self.endpoint if who.has_endpoints else None,
            )
            for who in self.providers
        ]

    def opened(self, config: Config | None = None) -> Service:
        """
        Return the service that was given, else the one of the environment with the token named.

        Raises
        ------
        CredentialsError
            If there is no token.
        """
        if self.service is not None:
            return self.service
        if not self.one.needs_token:
            return self.one.service(endpoint=self.endpoint)
        token_file = self.token_file or (config.token_file if config else None)
        return self.one.service(token=self.token, token_file=token_file, endpoint=self.endpoint)

    @property
    def one(self) -> Provider:
        """
        The one provider.

        Raises
        ------
        InputError
            If several were named.
        """
        if len(self.providers) > 1:
            raise InputError("this takes one `provider` at a time", hint=f"one of {', '.join(self._named)}")
        return self.providers[0]

    @property
    def own(self) -> Own | None:
        """The provider that the caller names, by its service or its name; None where it names none, or several."""
        from mlygeo.readers.id_lists import Own

        is_named = self.service is not None or len(self._named) == 1
        return Own(self.one.name, self.one.keys) if is_named else None

    def to(self, name: str, what: str) -> Access:
        """
        Return the way to a provider; a token that is given goes to nobody else than whom it is given for.

        Parameters
        ----------
        name
            Its name.
        what
            What is of this provider, for messages.

        Raises
        ------
        InputError
            If the caller names others, or there is none of this name.
        """
        from mlygeo.providers import provider

        if self._named or self.service is not None or name != self.one.name:
            known = [each for each in self._each() if each.one.name == name]
        else:  # the address is for images of others
            known = [Access(token=self.token, token_file=self.token_file, service=None, provider=None, endpoint=None)]
        if known:
            return known[0]
        if self.service is not None or self._named:
            asked = " and ".join(who.title for who in self.providers)
            raise InputError(
                f"{asked} {'is' if len(self.providers) == 1 else 'are'} asked, and not {name}, which has {what}",
                hint=f"ask {name} for it in a call of its own, or name no provider",
            )
        who = provider(name)
        endpoint = self.endpoint if who.has_endpoints else None
        return Access(token=None, token_file=None, service=None, provider=who.name, endpoint=endpoint)

    @property
    def records(self) -> Records:
        """What the provider says of images."""
        from mlygeo.providers import needed

        records: Records = needed(self.one.records, self.one, "images by id")
        return records


@dataclass(frozen=True, kw_only=True)
class Asking:
    """
    How images are requested.

    Parameters
    ----------
    workers
        Number of requests to make at once.
    """

    workers: int


@dataclass(frozen=True, kw_only=True)
class Server:
    """
    Where users sign in and upload to.

    Parameters
    ----------
    provider
        The provider: mapillary or panoramax. Default: mapillary.
    endpoint
        Address of the Panoramax instance, such as https://panoramax.openstreetmap.fr/api. Default: the environment
        variable MLYGEO_PANORAMAX_URL.
    """

    provider: str | None
    endpoint: str | None

    def chosen(self, service: Service | None = None) -> Provider:
        """
        Return the one provider that is meant.

        Parameters
        ----------
        service
            Its service, if that was given.

        Raises
        ------
        InputError
            If there is none of this name, or these contradict each other.
        """
        meant = Access(token=None, token_file=None, service=service, provider=self.provider, endpoint=self.endpoint)
        meant.check_use()
        return meant.one


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """
    The signed-in user, and the access to the service.

    Parameters
    ----------
    token
        Access token of the user. It is safer to sign in or to use a file.
    token_file
        File with the access token. Default: the token of the user who signed in last.
    config_file
        Credentials file; only the users in it are considered. Default: the file named by the environment variable
        MAPILLARY_CONFIG_PATH, else credentials.json in the user configuration folder.
    service
        The service to ask, with the token of a user; made from the other parameters unless given.
    """

    token: str | None
    token_file: PathLike | None
    config_file: PathLike | None
    service: Service | None
