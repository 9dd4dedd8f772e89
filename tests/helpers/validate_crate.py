"""
Validates an RO-Crate without the network: the program of the validators' environment, with a folder and a profile.

Prints a line for each finding, recommendations too. The context that the crate names is read from the package rocrate,
which has that of RO-Crate 1.1.
"""

import json
import sys
from importlib.resources import files

from rocrate_validator import models, services
from rocrate_validator.utils import http

CONTEXT = "https://w3id.org/ro/crate/1.1/context"


class Known:
    """The answer of a server that has the context."""

    status_code, headers, ok = 200, {"Content-Type": "application/ld+json"}, True
    text = files("rocrate").joinpath("data/ro-crate.jsonld").read_text(encoding="utf-8")
    content = text.encode()
    url = CONTEXT

    def json(self):
        return json.loads(self.text)

    def raise_for_status(self):
        pass


asked = http.HttpRequester.__getattr__


def known(requester, name):
    method = asked(requester, name)
    if name not in {"get", "head"}:
        return method
    return lambda url, *args, **kwargs: Known() if url == CONTEXT else method(url, *args, **kwargs)


http.HttpRequester.__getattr__ = known
settings = services.ValidationSettings(
    rocrate_uri=sys.argv[1], profile_identifier=sys.argv[2], offline=True,
    requirement_severity=models.Severity.RECOMMENDED,
)  # fmt: skip
result = services.validate(settings)
for issue in result.get_issues():
    print(issue.severity.name, issue.check.identifier, issue.message)
print("passed" if result.passed() else "failed")
