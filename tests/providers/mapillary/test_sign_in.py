"""Signing in: what is kept, where, for whom, and what is never shown."""

import getpass
import json
import os
import stat
import subprocess
import sys

import pytest
from helpers.command_line import run
from helpers.processes import HANGS_S
from helpers.tokens import TOKEN as CLIENT
from helpers.unix import needs_unix
from helpers.upload_folders import QUICK, USER_TOKEN, folder_of

import mlygeo
from mlygeo.errors import CredentialsError, DependencyError, InputError, TokenRejectedError
from mlygeo.providers.mapillary import accounts as module
from mlygeo.providers.mapillary.accounts import Credentials, User, sign_in, upload_token
from mlygeo.providers.mapillary.service import Service
from mlygeo.standin import Faults, serve

PASSWORD = "a pass phrase 4711"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLYGEO_NO_PROGRESS", "1")
    monkeypatch.setenv("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history"))
    return tmp_path / "home"


@pytest.fixture
def server(tmp_path, monkeypatch):
    with serve(store=tmp_path / "store", token=USER_TOKEN) as server:
        monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
        monkeypatch.setenv("MAPILLARY_UPLOAD_ENDPOINT", server.endpoints.upload)
        monkeypatch.setenv("MAPILLARY_CLIENT_TOKEN", CLIENT)
        yield server


def signed_in(**more):
    return mlygeo.authenticate(user_name="jane", user_email="jane@example.org", user_password=PASSWORD, **more)


def test_the_token_is_kept_and_the_password_is_not(server):
    users = signed_in()
    path = module.default_path()
    if os.name != "nt":  # whose files have no modes
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    kept = path.read_text()
    assert USER_TOKEN in kept
    assert PASSWORD not in kept
    assert users[["name", "user_name", "user_key", "is_default"]].iloc[0].tolist() == ["jane", "rehearsal", "1", True]
    assert USER_TOKEN not in str(users.to_dict())
    assert upload_token()[0] == USER_TOKEN
    assert USER_TOKEN not in repr(Credentials().users)
    login = server.requests[0]
    assert (login.method, login.path, login.query) == ("POST", "/login", {})
    assert login.headers["Authorization"] == f"OAuth {CLIENT}"


@needs_unix("rights of Unix")
def test_the_mode_of_a_file_that_was_open_to_others_is_mended(server):
    path = module.default_path()
    path.parent.mkdir(parents=True)
    path.write_text('{"version": 1, "users": {}}')
    path.chmod(0o644)
    signed_in()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_wrong_password_is_said_without_it(server):
    asked = Service(endpoints=server.endpoints, token=CLIENT, retry=QUICK)
    with pytest.raises(CredentialsError) as caught:
        sign_in(asked, "jane@example.org", "wrong")
    chain = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert not any("wrong" in str(error).replace("not right", "") for error in chain if error is not None)
    assert "jane@example.org" not in str(caught.value)
    assert not module.default_path().exists()
    assert server.count("sign_in") == 1


def test_a_token_by_hand_is_asked_whose_it_is(server):
    mlygeo.authenticate(jwt=USER_TOKEN)
    assert Credentials().find().name == "rehearsal"
    with pytest.raises(CredentialsError, match="user 1, not 99"):
        mlygeo.authenticate(user_name="joe", jwt=USER_TOKEN, user_key="99")
    with pytest.raises(TokenRejectedError):
        mlygeo.authenticate(user_name="joe", jwt="MLYA-another")
    assert set(Credentials().users) == {"rehearsal"}


def test_faults_are_got_over(server):
    server.faults = Faults(server_error=1.0, first=1, only=("sign_in",))
    found = sign_in(Service(endpoints=server.endpoints, token=CLIENT, retry=QUICK), "a@b.c", PASSWORD)
    assert (found.token, found.user_key, found.user_name) == (USER_TOKEN, "1", "rehearsal")
    assert USER_TOKEN not in repr(found)


def test_several_users_and_who_is_meant(server):
    credentials = Credentials()
    credentials.keep(User("jane", "token-of-jane", user_key="1", user_name="jane_at_mapillary"))
    credentials.keep(User("joe", "token-of-joe"))
    again = Credentials()
    assert again.find().name == "joe"
    assert again.find("jane_at_mapillary").read_token() == "token-of-jane"
    with pytest.raises(CredentialsError, match="'jim' has signed in; there are jane, joe"):
        again.find("jim")
    mlygeo.edit_config("edit", user_name="jane", default=True)
    assert Credentials().find().name == "jane"
    mlygeo.edit_config("remove", user_name="jane")
    assert set(Credentials().users) == {"joe"}
    assert "token-of-jane" not in module.default_path().read_text()


def test_a_name_that_is_taken_is_not_replaced_by_accident(server):
    signed_in()
    with pytest.raises(InputError, match="jane has signed in before"):
        signed_in()
    signed_in(force_overwrite=True)


@pytest.mark.parametrize("file", ["config", "configs/MLY_1_abc", "configs/1234567890/config"])
def test_what_older_tools_keep_is_read_and_left_alone(home, file):
    path = home / ".config" / "mapillary" / file
    path.parent.mkdir(parents=True)
    path.write_text("[jane]\nMAPSettingsUsername = jane\nMAPSettingsUserKey = abc\nuser_upload_token = old%token\n"
                    "[old]\nuser_permission_hash = x\n")  # fmt: skip
    before = path.read_bytes()
    assert upload_token()[0] == "old%token"
    assert upload_token("jane")[1].user_key == "abc"
    with pytest.raises(CredentialsError, match="older tool"):
        mlygeo.edit_config("remove", user_name="jane")
    assert path.read_bytes() == before
    assert "old%token" not in str(mlygeo.edit_config().to_dict())


def test_the_order_in_which_a_token_is_looked_for(server, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CredentialsError, match="nobody has signed in"):
        upload_token()
    (tmp_path / "token.txt").write_text(CLIENT)
    with pytest.raises(CredentialsError, match="nobody has signed in"):
        upload_token()
    (tmp_path / "token.txt").write_text("of-the-file")
    assert upload_token()[0] == "of-the-file"
    Credentials().keep(User("jane", "of-jane"))
    assert upload_token()[0] == "of-jane"
    monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", CLIENT)
    assert upload_token()[0] == "of-jane", "the token of an application cannot upload"
    monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", "of-the-environment")
    assert upload_token()[0] == "of-the-environment"
    assert upload_token("jane")[0] == "of-jane"
    assert upload_token("jane", token="by-hand")[0] == "by-hand"


def test_organizations_get_names(server, tmp_path):
    signed_in()
    folder_of(tmp_path / "a", 2)
    with pytest.raises(CredentialsError, match="no organization 'Organization 2' was used"):
        mlygeo.upload(tmp_path / "a", user_name="jane", organization_name="Organization 2")
    mlygeo.upload(tmp_path / "a", user_name="jane", organization_key="2")
    mlygeo.upload(tmp_path / "a", user_name="jane", organization_name="organization 2", reupload=True)
    mlygeo.edit_config("edit", user_name="jane", organization_key="2", organization_name="city")
    assert Credentials().find("jane").organizations["city"] == "2"
    mlygeo.upload(tmp_path / "a", user_name="jane", reupload=True)
    listed = [json.loads(path.read_text())["organization_id"] for path in (tmp_path / "store" / "clusters").iterdir()]
    assert listed == ["2"] * 3
    with pytest.raises(InputError, match="not a key"):
        mlygeo.edit_config("edit", user_name="jane", organization_key="x/../y")


def test_without_the_package_a_keyring_is_an_error(server, monkeypatch):
    """With it, see test_credentials."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(DependencyError, match="keyring"):
        signed_in(keyring=True)
    assert not Credentials().users


def test_an_empty_file_holds_nobody(server):
    path = module.default_path()
    path.parent.mkdir(parents=True)
    path.touch()
    assert not Credentials().users
    signed_in()
    assert Credentials().users


@pytest.mark.parametrize("content", ["[]", '{"users": []}', '{"users": {"a": 5}}', "{" * 9000])
def test_a_damaged_file_is_named_and_not_shown(content):
    path = module.default_path()
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(CredentialsError, match=r"credentials\.json is damaged"):
        Credentials()


def test_without_a_terminal_nothing_is_asked(server, capsys, monkeypatch):
    monkeypatch.setattr(getpass, "getpass", lambda *_: pytest.fail("asked"))
    status, _, err = run(capsys, "authenticate", "--user-name", "jane", "--user_email", "jane@example.org")
    assert status == 2
    assert "no terminal" in err
    status, _, err = run(capsys, "authenticate", "--user-name", "jane")
    assert status == 2
    assert "--user-email" in err
    monkeypatch.delenv("MAPILLARY_CLIENT_TOKEN")
    status, _, err = run(capsys, "authenticate", "--user-email", "a@b.c", "--user-password", "x")
    assert status == 2
    assert "MAPILLARY_CLIENT_TOKEN" in err


@needs_unix("pseudo-terminals")
def test_at_a_terminal_the_password_is_asked_for_and_not_shown(server):
    """The program gets a terminal of its own; what it shows there has no password in it."""
    import fcntl
    import pty
    import termios

    primary, secondary = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mlygeo", "authenticate", "--user-name", "jane"],
        stdin=secondary, stdout=secondary, stderr=secondary, start_new_session=True, env=dict(os.environ),
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no other thread runs here
    )  # fmt: skip
    os.close(secondary)
    shown = b""
    for prompt, answer in ((b"email: ", b"jane@example.org\n"), (b"password: ", PASSWORD.encode() + b"\n")):
        while prompt not in shown:
            shown += os.read(primary, 1000)
        os.write(primary, answer)
    try:
        while piece := os.read(primary, 1000):
            shown += piece
    except OSError:  # how Linux says that nobody is at the other end
        pass
    os.close(primary)
    assert process.wait(HANGS_S) == 0, shown
    assert b"signed in as jane (rehearsal, user key 1)" in shown
    assert PASSWORD.encode() not in shown
    assert Credentials().find("jane").token == USER_TOKEN


def test_config_and_its_old_spellings(server, capsys):
    signed_in()
    for words in (("config",), ("config", "list"), ("edit_config", "list"), ("edit-config", "list")):
        status, out, _ = run(capsys, *words)
        assert status == 0
        assert out.startswith("jane, user key 1, default")
        assert USER_TOKEN not in out
    assert run(capsys, "config", "burn")[0] == 2
    assert run(capsys, "config", "edit", "--user-name", "jane")[0] == 2
    assert run(capsys, "config", "remove")[0] == 2
