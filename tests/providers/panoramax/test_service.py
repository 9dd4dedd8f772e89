"""Panoramax's service as a value: addresses, tokens, and what its errors mean."""

from __future__ import annotations

import json

import pytest

from mlygeo.errors import ConfigError, CredentialsError, ServiceError, TokenRejectedError
from mlygeo.net.answers import GoneError, NotFoundError, PendingError, QueryTimeoutError, RefusedError
from mlygeo.providers.panoramax.answers import ConflictError, InvalidError, judge
from mlygeo.providers.panoramax.service import CATALOGUE, TOKEN_VARIABLE, URL_VARIABLE, Endpoints, Service


@pytest.mark.parametrize(
    ("given", "api"),
    [
        ("https://panoramax.ign.fr/api", "https://panoramax.ign.fr/api"),
        ("https://panoramax.ign.fr/api/", "https://panoramax.ign.fr/api"),
        ("https://panoramax.ign.fr", "https://panoramax.ign.fr/api"),
        ("panoramax.ign.fr", "https://panoramax.ign.fr/api"),
        ("http://127.0.0.1:5055", "http://127.0.0.1:5055/api"),
        ("https://example.org/street/api", "https://example.org/street/api"),
    ],
)
def test_an_endpoint_is_any_address_of_a_server(given, api):
    assert Endpoints(given).api == api
    assert Service.from_environment(endpoint=given).addresses == (api,)


@pytest.mark.parametrize(
    "given", ["", "ftp://x", "http://example.org/api", "https://a:b@example.org", "https://x/?q=1"]
)
def test_what_is_no_address_is_refused(given):
    with pytest.raises(ConfigError, match="endpoint"):
        Endpoints(given)


def test_the_catalogue_is_the_default_and_the_environment_names_another(monkeypatch):
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    assert Service.from_environment().endpoints.api == CATALOGUE
    monkeypatch.setenv(URL_VARIABLE, "http://127.0.0.1:5055/")
    assert Service.from_environment().endpoints.api == "http://127.0.0.1:5055/api"
    assert Service.from_environment(endpoint=CATALOGUE).endpoints.is_catalogue
    monkeypatch.setenv(URL_VARIABLE, "nonsense nonsense")
    with pytest.raises(ConfigError, match=URL_VARIABLE):
        Service.from_environment()


def test_a_token_of_another_service_is_not_taken(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", "MLY|1|2")
    (tmp_path / "token.txt").write_text("MLY|1|2\n")
    assert Service.from_environment().token is None
    monkeypatch.setenv(TOKEN_VARIABLE, "eyJ.a.b")
    assert Service.from_environment().token == "eyJ.a.b"
    (tmp_path / "own").write_text("eyJ.c.d\n")
    assert Service.from_environment(token_file=tmp_path / "own").token == "eyJ.c.d"
    with pytest.raises(CredentialsError):
        Service.from_environment(token="two words")
    assert "eyJ" not in repr(Service.from_environment())


@pytest.mark.parametrize(
    ("status", "body", "kind", "then"),
    [
        (102, b"", PendingError, "again"),
        (404, {"message": "Item doesn't exist", "status_code": 404}, GoneError, "stop"),
        (404, {"status": 404, "message": "not found"}, GoneError, "stop"),
        (404, b"<!doctype html>\n<title>404 Not Found</title>", NotFoundError, "again"),
        (404, b"", NotFoundError, "again"),
        (401, {"message": "Authentication is mandatory"}, TokenRejectedError, "stop"),
        (403, {"message": "Token not yet claimed", "status_code": 403}, TokenRejectedError, "stop"),
        (403, {"message": "You're not authorized to see this picture", "status_code": 403}, RefusedError, "stop"),
        (409, {"message": "added already", "existing_item": {"id": "x"}, "status_code": 409}, ConflictError, "stop"),
        (400, {"message": "bad", "details": {"missing_fields": ["datetime"]}}, InvalidError, "stop"),
        (500, {"message": "The query timed out: statement timeout", "status_code": 500}, QueryTimeoutError, "stop"),
        (503, b"<html>busy</html>", ServiceError, "again"),
        (302, b"", ServiceError, "stop"),
    ],
)
def test_what_an_error_means(status, body, kind, then):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    trouble = judge(status, {}, content, what="picture x", now=0.0, token_hint="sign in")
    assert isinstance(trouble.error, kind)
    assert trouble.then == then


def test_an_answer_that_is_no_error():
    assert [judge(status, {}, b"{}", what="x", now=0.0, token_hint="") for status in (200, 201, 202, 204)] == [None] * 4


def test_details_of_an_error_are_in_its_message():
    body = {"message": "Impossible to parse", "details": {"missing_fields": ["datetime", "location"], "error": "none"}}
    trouble = judge(400, {}, json.dumps(body).encode(), what="a.jpg", now=0.0, token_hint="")
    assert str(trouble.error) == ("a.jpg: the service answered 400: Impossible to parse: none: datetime, location")
    assert trouble.error.body["details"]["missing_fields"] == ["datetime", "location"]
