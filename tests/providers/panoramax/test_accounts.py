"""Signing in at an instance by a link, and the tokens that are kept of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from helpers.processes import HANGS_S

import mlygeo
from mlygeo.errors import CredentialsError, InputError
from mlygeo.providers import SignedIn
from mlygeo.providers.panoramax import accounts
from mlygeo.providers.panoramax.accounts import Credentials, upload_token
from mlygeo.providers.panoramax.service import TOKEN_VARIABLE, URL_VARIABLE, Endpoints, Service

HOST = "instance.example"


@pytest.fixture(autouse=True)
def nobody(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in (TOKEN_VARIABLE, URL_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def users(path, host=HOST):
    return Credentials(path, host)


def test_a_user_signs_in_by_a_link_which_the_verb_shows_and_waits_for(panoramax, tmp_path):
    command = [sys.executable, "-m", "mlygeo", "authenticate", "--provider", "panoramax", "--endpoint", panoramax.api]
    process = subprocess.Popen(
        [*command, "-q"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    link = process.stderr.readline()
    number = re.search(r"/api/auth/tokens/([0-9a-f-]{36})/claim", link)[1]
    assert process.poll() is None
    account = "(SELECT id FROM accounts WHERE name = 'Ada')"
    panoramax.query(f"UPDATE tokens SET account_id = {account} WHERE id = '{number}'")
    out, err = process.communicate(timeout=HANGS_S)
    assert process.returncode == 0, err
    path = tmp_path / "config" / "mlygeo" / "panoramax.json"
    if os.name != "nt":  # whose files have no modes
        assert path.stat().st_mode & 0o777 == 0o600
    token = json.loads(path.read_text())["instances"][f"127.0.0.1:{panoramax.port}"]["users"]["Ada"]["token"]
    assert token not in out + err + link
    listed = mlygeo.edit_config("list", provider="panoramax", endpoint=panoramax.api)
    assert listed[["name", "is_default"]].to_dict("list") == {"name": ["Ada"], "is_default": [True]}
    assert mlygeo.edit_config("list").empty


def test_a_link_that_nobody_opens_ends_with_an_error(panoramax):
    shown, now = [], [0.0]
    service = Service(endpoints=Endpoints(panoramax.api))
    with pytest.raises(CredentialsError, match="nobody opened the link within 10 minutes"):
        accounts.sign_in_by_link(
            service, show=shown.append, clock=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + 100)
        )
    assert len(shown) == 1


def test_a_token_that_is_given_is_kept_as_well(panoramax, tmp_path):
    token = panoramax.user("Åsa Öberg")
    found = mlygeo.authenticate(
        provider="panoramax", endpoint=panoramax.api, jwt=token, config_file=tmp_path / "users.json"
    )
    assert found["user_name"].tolist() == ["Åsa Öberg"]
    mlygeo.edit_config("remove", user_name="Åsa Öberg", provider="panoramax", endpoint=panoramax.api,
                       config_file=tmp_path / "users.json")  # fmt: skip
    assert token not in (tmp_path / "users.json").read_text()


def test_what_has_no_effect_is_refused(panoramax):
    for option in ({"user_email": "a@b"}, {"user_password": "x"}, {"token": "x"}, {"token_file": "x"}):
        with pytest.raises(InputError, match=f"`{next(iter(option))}` has no effect for Panoramax"):
            mlygeo.authenticate(provider="panoramax", endpoint=panoramax.api, **option)
    with pytest.raises(InputError, match="the catalogue of all instances has no users"):
        mlygeo.authenticate(provider="panoramax")
    with pytest.raises(InputError, match="`endpoint` has no effect for Mapillary"):
        mlygeo.authenticate(endpoint=panoramax.api)


def test_tokens_are_kept_by_instance(tmp_path):
    path = tmp_path / "users.json"
    users(path).sign_in("ada", SignedIn("t1", "k1", "Ada"), keyring=False)
    users(path, "other.example").sign_in("ada", SignedIn("t2", "k2", "Ada"), keyring=False)
    for host, token in ((HOST, "t1"), ("other.example", "t2")):
        found, user = upload_token(None, token=None, token_file=None, credentials=users(path, host))
        assert (found, user.name) == (token, "ada")
    with pytest.raises(CredentialsError, match=r"nobody has signed in at third\.example"):
        upload_token(None, token=None, token_file=None, credentials=users(path, "third.example"))
    assert "t1" not in repr(users(path).users["ada"])
    users(path).remove("ada")
    assert not users(path).users
    assert users(path, "other.example").users


def test_the_token_of_the_environment_is_that_of_its_instance(monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, "eyJ.a.b")
    assert users(None).token_beside() == "eyJ.a.b"
    monkeypatch.setenv(URL_VARIABLE, f"https://{HOST}/api")
    assert users(None).token_beside() == "eyJ.a.b"
    monkeypatch.setenv(URL_VARIABLE, "https://other.example/api")
    assert users(None).token_beside() is None


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"instances": []}',
        '{"instances": {"x": {"users": {"a": 1}}}}',
        '{"instances": {"x": 1}}',
        '"secret"',
    ],
)
def test_damaged_files_are_errors_that_repeat_nothing(tmp_path, text):
    path = tmp_path / "users.json"
    path.write_text(text)
    with pytest.raises(CredentialsError) as error:
        users(path)
    assert "secret" not in str(error.value)
    assert path.read_text() == text


def test_users_of_another_provider_are_not_overwritten(tmp_path):
    path = tmp_path / "credentials.json"
    path.write_text('{"version": 1, "default": "jane", "users": {"jane": {"token": "MLYA"}}}')
    with pytest.raises(CredentialsError, match="another provider"):
        users(path)
