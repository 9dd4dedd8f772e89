"""
The exceptions of mlygeo, ordered by what the caller can do about them.

::

    MlygeoError
    ├── InputError (ValueError)       the call is wrong: change it       exit status 2
    │   ├── RegionError               the region makes no sense
    │   ├── CrsError                  the srid cannot serve this region
    │   ├── NotDescribedError         photos have no image descriptions yet
    │   ├── FrameError                a frame lacks columns, or has others
    │   ├── ConfigError               the configuration file is missing or broken
    │   └── CredentialsError          no access token where one is needed
    ├── FileError (OSError)           a file is wrong, or the disk is     exit status 1
    │   └── FormatError (ValueError)  the file is not what its name says
    │       └── OutputError (InputError)  no result can have this name    exit status 2
    ├── ServiceError (OSError)        the service did not do its part     exit status 1
    │   ├── NetworkError              it could not be reached: try again
    │   ├── TokenRejectedError        it refuses the token: get another
    │   └── ThrottledError            it refuses this address, or the day's limit is spent: wait
    └── DependencyError (ImportError) an optional package is missing      exit status 1

Each message says what was found and where; `hint` says what to do.
"""

from __future__ import annotations

import os
import re

_LONG = re.compile(r"([^\s/\\]{60})[^\s/\\]{180,}([^\s/\\]{20})")
"""A word longer than any name of a file: what was given for one by mistake, and is quoted in a message."""


class MlygeoError(Exception):
    """
    Base of every error that mlygeo raises on purpose.

    Parameters
    ----------
    message
        What was found, and where.
    hint
        What to do about it, computed from the call that failed.
    """

    exit_status = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        # What a message quotes, such as a path or a parser's words, may be of several lines.
        line = " ".join(line.strip() for line in message.splitlines() if line.strip())
        super().__init__(_LONG.sub(r"\1…\2", line))
        self.hint = hint


def unreadable(path: str | os.PathLike[str], error: OSError) -> str:
    """Return what a message says of a file that could not be opened: in the same words, whoever opens it."""
    if isinstance(error, FileNotFoundError):
        return f"{path} {'is a broken link' if os.path.islink(path) else 'does not exist'}"  # noqa: PTH114
    return f"{path} cannot be read: {error.strerror or error}"


class InputError(MlygeoError, ValueError):
    """The call is wrong; change it."""

    exit_status = 2


class RegionError(InputError):
    """The region makes no sense."""


class CrsError(InputError):
    """The coordinate reference system cannot serve this region."""


class NotDescribedError(InputError):
    """There are photos, and none has an image description yet."""


class FrameError(InputError):
    """A frame lacks columns, or has them in another type."""


class ConfigError(InputError):
    """The configuration file is missing or broken."""


class CredentialsError(InputError):
    """No access token, where one is needed."""


class FileError(MlygeoError, OSError):
    """A file cannot be read or written."""


class FormatError(FileError, ValueError):
    """A file is not what its name says."""


class OutputError(InputError, FormatError):
    """Results cannot be written under this name, whatever lies there; name another output."""


class ServiceError(MlygeoError, OSError):
    """The service did not do its part."""


class NetworkError(ServiceError):
    """The service could not be reached; trying again later may help."""


class TokenRejectedError(ServiceError):
    """The service refuses the access token; everything else would fail too."""


class ThrottledError(ServiceError):
    """The service refuses this address or token for now; wait before the next run."""


class DependencyError(MlygeoError, ImportError):
    """An optional package is missing."""
