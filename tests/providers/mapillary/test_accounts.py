"""The file of those who have signed in: its forms, its mode, and many who write it at once."""

import configparser
import json
import os
import stat
import subprocess
import sys
import time
from dataclasses import replace

import filelock
import pytest
from helpers.command_line import run
from helpers.mapillary_tools_oracle import program
from helpers.processes import HANGS_S
from helpers.tokens import TOKEN as CLIENT
from helpers.unix import needs_unix
from helpers.upload_folders import USER_TOKEN, folder_of

import mlygeo
from mlygeo.errors import CredentialsError, FileError, InputError
from mlygeo.providers.mapillary import accounts as module
from mlygeo.providers.mapillary.accounts import Credentials, User, upload_token
from mlygeo.standin import serve

VERB = [sys.executable, "-m", "mlygeo"]

KEEPS_ON_WRITING = """
from mlygeo.providers.mapillary.accounts import Credentials, User
users = Credentials()
users.keep(User("joe", "token-of-joe"))
print(flush=True)
while True:
    users.keep(User("joe", "token-of-joe"))
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLYGEO_NO_PROGRESS", "1")
    monkeypatch.setenv("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history"))
    for name in ("MAPILLARY_CONFIG_PATH", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(tmp_path, monkeypatch):
    with serve(store=tmp_path / "store", token=USER_TOKEN) as server:
        monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
        monkeypatch.setenv("MAPILLARY_UPLOAD_ENDPOINT", server.endpoints.upload)
        monkeypatch.setenv("MAPILLARY_CLIENT_TOKEN", CLIENT)
        yield server


def started(*words, text=None, **more):
    process = subprocess.Popen(
        [*VERB, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **more},
    )  # fmt: skip
    process.stdin.write(text or "")
    process.stdin.flush()
    return process


def finished(process):
    out, err = process.communicate(timeout=HANGS_S)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def without_stdin(*words):
    """Run a verb with its standard input closed, as `<&-` does."""
    if os.name == "nt":
        pytest.skip("needs a shell that closes what it starts")
    quoted = " ".join(f"'{word}'" for word in [*VERB, *words])
    return subprocess.run(["sh", "-c", f"{quoted} <&-"], capture_output=True, text=True, env=dict(os.environ))


def openpty():
    pty = pytest.importorskip("pty", reason="Windows has no pseudo-terminals", exc_type=ImportError)
    return pty.openpty()


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


class TestAtOnce:
    def test_none_of_those_who_sign_in_at_once_is_lost(self, server):
        names = [f"rr{number}" for number in range(6)]
        at_work = [started("authenticate", "--user-name", name, "--jwt", "-", text=USER_TOKEN) for name in names]
        done = [finished(process) for process in at_work]
        assert [each.returncode for each in done] == [0] * len(names), done[0].stderr
        found = Credentials()
        assert set(found.users) == set(names)
        assert found.default in names

    @pytest.mark.parametrize("form", ["credentials.json", "config"])
    def test_what_one_says_of_another_is_not_lost_either(self, tmp_path, form):
        """Two objects of one process, made before either writes, are no other than two processes."""
        one, other = Credentials(tmp_path / form), Credentials(tmp_path / form)
        one.keep(User("jane", "token-of-jane", user_key="1"))
        other.keep(User("joe", "token-of-joe"))
        one.alter("jane", lambda user: user.with_organizations({"city": "2"}))
        other.alter("jane", lambda user: user.with_organizations({"town": "3"}))
        jane = Credentials(tmp_path / form).find("jane")
        assert jane.organizations == {"city": "2", "town": "3"}
        one.keep(User("jane", "new-token", user_key="1"))
        jane = Credentials(tmp_path / form).find("jane")
        assert (jane.token, jane.organizations) == ("new-token", {"city": "2", "town": "3"})
        one.keep(User("jane", "of-another-account", user_key="7"))
        assert Credentials(tmp_path / form).find("jane").organizations == {}

    def test_each_change_is_one_write(self, tmp_path, monkeypatch):
        """A crash between two would leave another default user."""
        users = Credentials(tmp_path / "c.json")
        users.keep(User("jane", "token-of-jane"))
        users.keep(User("joe", "token-of-joe"))
        seen = []
        replaced = os.replace
        monkeypatch.setattr(
            os, "replace", lambda path, target: seen.append(json.loads(path.read_text())) or replaced(path, target)
        )
        users.alter("jane", lambda user: user.with_organizations({"city": "2"}))
        assert [result["default"] for result in seen] == ["joe"]

    def test_a_lock_that_is_held_is_an_error_in_the_end(self, tmp_path, monkeypatch):
        monkeypatch.setattr(module, "LOCK_S", 0.2)
        users = Credentials(tmp_path / "c.json")
        with filelock.FileLock(tmp_path / ".c.json.lock"), pytest.raises(FileError, match="another process"):
            users.keep(User("jane", "token-of-jane"))
        users.keep(User("jane", "token-of-jane"))

    def test_one_who_is_killed_leaves_the_file_whole_and_holds_nobody_up(self, server):
        Credentials().keep(User("jane", "token-of-jane"))
        for delay in (0.0, 0.002, 0.004, 0.008):
            process = subprocess.Popen([sys.executable, "-c", KEEPS_ON_WRITING], stdout=subprocess.PIPE)
            process.stdout.readline()
            time.sleep(0.02 + delay)
            process.kill()
            process.wait()
            process.stdout.close()
            assert "jane" in Credentials().users
        Credentials().keep(User("jim", "token-of-jim"))
        assert set(Credentials().users) == {"jane", "joe", "jim"}


@needs_unix("modes of files")
class TestModes:
    def test_nobody_else_can_read_any_of_it(self, tmp_path):
        """Neither the file nor the lock, whatever the mask of the user is."""
        before = os.umask(0)
        try:
            Credentials(tmp_path / "new" / "c.json").keep(User("jane", "token-of-jane"))
        finally:
            os.umask(before)
        found = {path.name: mode(path) for path in (tmp_path / "new").iterdir()}
        assert found == {"c.json": 0o600, ".c.json.lock": 0o600}
        assert mode(tmp_path / "new") == 0o700

    def test_the_temporary_file_is_closed_to_others_too(self, tmp_path, monkeypatch):
        seen = []
        replaced = os.replace
        monkeypatch.setattr(os, "replace", lambda path, target: seen.append(mode(path)) or replaced(path, target))
        before = os.umask(0)
        try:
            Credentials(tmp_path / "config").keep(User("jane", "token-of-jane"))
        finally:
            os.umask(before)
        assert seen == [0o600]

    @pytest.mark.parametrize("name", ["c.json", "config", "c.ini"])
    @pytest.mark.parametrize("real", ["c.json", "store", "c.json.age"])
    @pytest.mark.parametrize("before", [None, b"", b"\n"])
    def test_behind_a_link_with_another_ending(self, tmp_path, name, real, before):
        """As those have it who keep their files elsewhere."""
        (tmp_path / "kept").mkdir()
        (tmp_path / name).symlink_to(tmp_path / "kept" / real)
        if before is not None:
            (tmp_path / "kept" / real).write_bytes(before)
        for person in ("jane", "jim"):
            Credentials(tmp_path / name).keep(User(person, f"token-of-{person}"))
        for path in (tmp_path / name, tmp_path / "kept" / real):
            assert Credentials(path).find("jane").read_token() == "token-of-jane"
            assert set(Credentials(path).users) == {"jane", "jim"}
        assert (tmp_path / name).is_symlink()
        assert mode(tmp_path / "kept" / real) == 0o600
        assert (tmp_path / "kept" / real).read_text().startswith("{" if name == "c.json" else "[")

    def test_files_of_any_size_and_kind(self, tmp_path):
        with (tmp_path / "large").open("wb") as file:
            file.write(b"[jane]\nuser_upload_token = token-of-jane\n")
            file.truncate(5 << 30)
        with pytest.raises(CredentialsError, match="longer than any"):
            Credentials(tmp_path / "large")
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(CredentialsError, match="nothing comes from the pipe"):
            Credentials(tmp_path / "pipe")
        with pytest.raises(CredentialsError, match="cannot be read: Is a directory"):
            Credentials(tmp_path)
        with pytest.raises(CredentialsError, match="it is a device or a socket, not a file"):
            Credentials("/dev/zero")
        assert Credentials("/dev/null").users == {}

    def test_a_link_stays_one(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "c.json").symlink_to(tmp_path / "real" / "c.json")
        Credentials(tmp_path / "c.json").keep(User("jane", "token-of-jane"))
        assert (tmp_path / "c.json").is_symlink()
        assert "token-of-jane" in (tmp_path / "real" / "c.json").read_text()


class TestNamedFiles:
    def test_the_option_is_understood_by_all_that_sign_in_or_upload(self, server, capsys, tmp_path):
        file = tmp_path / "team.json"
        assert run(capsys, "authenticate", "--user-name", "jane", "--jwt", USER_TOKEN, "--config-file", file)[0] == 0
        assert not module.default_path().exists()
        folder_of(tmp_path / "a", 2)
        status, _, err = run(capsys, "upload", tmp_path / "a", "--config-file", file, "--organization-key", "2")
        assert status == 0, err
        assert Credentials(file).find("jane").organizations["Organization 2"] == "2"
        assert not module.default_path().exists()
        for words in (
            ("download-originals", "-o", tmp_path / "o", "--dry-run"),
            ("process-and-upload", tmp_path / "a"),
            ("config", "list"),
        ):
            status, _, err = run(capsys, *words, "--config-file", file)
            assert status in {0, 3}, err
            assert "signed in" not in err or words[0] == "config"
            if words[0] != "config":
                assert run(capsys, *words)[0] == 2
        for verb in ("authenticate", "config", "upload", "download-originals", "process-and-upload",
                     "video-process-and-upload"):  # fmt: skip
            assert "--config-file" in run(capsys, verb, "--help")[1], verb

    def test_the_variable_does_the_same(self, server, capsys, tmp_path, monkeypatch):
        monkeypatch.setenv("MAPILLARY_CONFIG_PATH", str(tmp_path / "shared" / "config"))
        assert run(capsys, "authenticate", "--user-name", "jane", "--jwt", USER_TOKEN)[0] == 0
        assert not module.default_path().exists()
        folder_of(tmp_path / "a", 2)
        assert run(capsys, "upload", tmp_path / "a", "--user-name", "jane")[0] == 0
        monkeypatch.delenv("MAPILLARY_CONFIG_PATH")
        assert run(capsys, "upload", tmp_path / "a", "--user-name", "jane")[0] == 2
        assert run(capsys, "upload", tmp_path / "a", "--config-file", tmp_path / "shared" / "config")[0] == 0

    def test_nobody_of_another_file_is_meant(self, tmp_path, monkeypatch):
        """Naming a file says who may be meant: neither another file's user, nor a token of the environment."""
        Credentials().keep(User("jane", "token-of-jane"))
        monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", "of-the-environment")
        (tmp_path / "token.txt").write_text("of-the-file")
        monkeypatch.chdir(tmp_path)
        with pytest.raises(CredentialsError, match=r"nobody has signed in .*empty\.json"):
            upload_token(credentials=Credentials(tmp_path / "empty.json"))
        with pytest.raises(CredentialsError, match=r"no user 'jane'"):
            upload_token("jane", credentials=Credentials(tmp_path / "empty.json"))
        Credentials(tmp_path / "team.json").keep(User("joe", "token-of-joe"))
        assert upload_token(credentials=Credentials(tmp_path / "team.json"))[0] == "token-of-joe"
        assert upload_token()[0] == "of-the-environment"

    def test_a_file_of_mapillary_tools_stays_one(self, tmp_path):
        file = tmp_path / "config"
        file.write_text(
            "[jane]\nMAPSettingsUsername = jane_m\nMAPSettingsUserKey = 1\nuser_upload_token = token%of-jane\n"
            "something_else = kept\n\n[waiting]\nuser_permission_hash = x\n"
        )
        users = Credentials(file)
        assert users.find().read_token() == "token%of-jane"
        users.alter("jane", lambda user: replace(user, organization_key="2", organizations={"Stadt Köln, 100 %": "2"}))
        users.keep(User("joe", "token-of-joe", user_key="5", user_name="joe_m"))
        again = Credentials(file)
        jane = again.find("jane")
        assert (jane.token, jane.user_key, jane.organization_key) == ("token%of-jane", "1", "2")
        assert jane.organizations == {"Stadt Köln, 100 %": "2"}
        assert again.default == "joe"
        result = configparser.RawConfigParser()
        result.optionxform = str
        result.read(file, encoding="utf-8")
        assert dict(result["joe"]) | {"mlygeo_default": "true"} == dict(result["joe"])
        assert (result["joe"]["user_upload_token"], result["joe"]["MAPSettingsUserKey"]) == ("token-of-joe", "5")
        assert result["jane"]["something_else"] == "kept"
        assert result["waiting"]["user_permission_hash"] == "x"
        again.remove("jane")
        assert "token%of-jane" not in file.read_text(encoding="utf-8")
        assert set(Credentials(file).users) == {"joe"}

    def test_the_official_client_shares_it(self, tmp_path, monkeypatch):
        """It reads what we write, keeps what it does not know, and we read what it writes."""
        python = program().with_name("python")
        monkeypatch.setenv("MAPILLARY_CONFIG_PATH", str(tmp_path / "new" / "config"))

        def theirs(code):
            done = subprocess.run([python, "-c", f"from mapillary_tools.config import *\n{code}"],
                                  capture_output=True, text=True)  # fmt: skip
            assert done.returncode == 0, done.stderr
            return done.stdout

        Credentials().keep(User("joe", "token-of-joe", user_key="5"))
        Credentials().keep(User("jane", "token-of-jane", user_key="1", user_name="jane_m"))
        Credentials().alter("jane", lambda user: user.with_organizations({"100 % Köln": "2"}))
        found = json.loads(theirs("import json; print(json.dumps(list_all_users()))"))
        assert {name: each["user_upload_token"] for name, each in found.items()} == {
            "joe": "token-of-joe",
            "jane": "token-of-jane",
        }
        assert (found["jane"]["MAPSettingsUserKey"], found["jane"]["MAPSettingsUsername"]) == ("1", "jane_m")
        theirs("update_config('jim', {'user_upload_token': 'token-of-jim', 'MAPSettingsUserKey': '7'})")
        users = Credentials()
        assert (users.find("jim").read_token(), users.find("jim").user_key) == ("token-of-jim", "7")
        assert users.default == "jane"
        assert users.find("jane").organizations == {"100 % Köln": "2"}

    @pytest.mark.parametrize("content", ["\x00\x01", "just words", "[jane\nx"])
    def test_one_that_is_neither_is_named_and_not_shown(self, tmp_path, content):
        (tmp_path / "config").write_text(content)
        with pytest.raises(CredentialsError, match="is damaged"):
            Credentials(tmp_path / "config")

    @pytest.mark.parametrize("name", ["DEFAULT", "a b", "", "x" * 65])
    def test_names_that_would_be_none_there(self, tmp_path, name):
        with pytest.raises(InputError, match="is not a name"):
            Credentials(tmp_path / "config").keep(User(name, "token"))


class TestSignIn:
    def test_a_token_of_an_application_is_not_kept(self, server, capsys):
        status, _, err = run(capsys, "authenticate", "--user-name", "app", "--jwt", "MLY|1|abcdef")
        assert status == 2
        assert "token of an application" in err
        assert "MLY|1|abcdef" not in err
        assert server.count() == 0
        assert not Credentials().users

    def test_another_account_of_the_same_name_is_not_replaced_by_accident(self, server, capsys):
        Credentials().keep(User("rehearsal", "token-of-another", user_key="77"))
        status, _, err = run(capsys, "authenticate", "--jwt", USER_TOKEN)
        assert status == 2
        assert "rehearsal has signed in before" in err
        assert "--force-overwrite" in err
        assert Credentials().find("rehearsal").token == "token-of-another"
        assert run(capsys, "authenticate", "--jwt", USER_TOKEN, "--force-overwrite")[0] == 0
        assert Credentials().find("rehearsal").token == USER_TOKEN

    def test_the_same_account_signs_in_anew(self, server, capsys):
        """Nothing is lost by it but a token that may have run out."""
        Credentials().keep(User("rehearsal", "token-that-ran-out", user_key="1", organizations={"city": "2"}))
        assert run(capsys, "authenticate", "--jwt", USER_TOKEN)[0] == 0
        user = Credentials().find()
        assert (user.token, user.organizations) == (USER_TOKEN, {"city": "2"})

    def test_at_a_terminal_it_is_asked(self, server):
        Credentials().keep(User("rehearsal", "token-of-another", user_key="77"))
        for answer, status, token in ((b"n\n", 2, "token-of-another"), (b"y\n", 0, USER_TOKEN)):
            primary, secondary = openpty()
            process = subprocess.Popen(
                [*VERB, "authenticate", "--jwt", USER_TOKEN], stdin=secondary, stdout=secondary, stderr=secondary,
                env=dict(os.environ),
            )  # fmt: skip
            os.close(secondary)
            shown = b""
            while b"sign in anew? [y/N]" not in shown:
                shown += os.read(primary, 1000)
            os.write(primary, answer)
            assert process.wait(HANGS_S) == status, shown
            os.close(primary)
            assert Credentials().find("rehearsal").token == token

    @needs_unix("modules of Unix")
    def test_at_the_first_upload_at_a_terminal_it_is_asked(self, server, tmp_path):
        """Nobody has signed in: email and password are asked for, and the upload goes on."""
        import pty

        folder_of(tmp_path / "a", 2)
        words = [*VERB, "upload", str(tmp_path / "a"), "--user-name", "jane"]
        child, terminal = pty.fork()
        if not child:
            os.execve(sys.executable, words, dict(os.environ))
        shown = b""
        for question, answer in ((b"email:", b"jane@example.org\n"), (b"password:", b"secret\n")):
            while question not in shown:
                shown += os.read(terminal, 1000)
            os.write(terminal, answer)
        try:
            while piece := os.read(terminal, 1000):
                shown += piece
        except OSError:  # how Linux says that nobody is at the other end
            pass
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, shown
        os.close(terminal)
        assert b"2 images uploaded" in shown
        assert b"secret" not in shown
        assert "jane" in Credentials().users

    @pytest.mark.parametrize(
        "words",
        [
            ("authenticate", "--jwt", "-"),
            ("authenticate", "--user-email", "jane@example.org", "--user-password", "-"),
            ("authenticate",),
            ("authenticate", "--user-email", "jane@example.org"),
        ],
    )
    def test_a_closed_standard_input_is_said_in_a_line(self, server, words):
        done = without_stdin(*words)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert done.stderr.startswith("error: ")
        assert "standard input" in done.stderr or "no terminal" in done.stderr

    def test_finishing_without_a_standard_input_is_not_asked(self, server, tmp_path, monkeypatch):
        Credentials().keep(User("jane", USER_TOKEN))
        folder_of(tmp_path / "a", 2)
        # A terminal for what is shown, none for what is typed.
        primary, secondary = openpty()
        monkeypatch.delenv("MLYGEO_NO_PROGRESS", raising=False)
        quoted = " ".join(f"'{word}'" for word in [*VERB, "upload", tmp_path / "a", "--manual-done"])
        process = subprocess.Popen(["sh", "-c", f"{quoted} <&-"], stdout=secondary, stderr=secondary)
        os.close(secondary)
        shown = b""
        try:
            while piece := os.read(primary, 1000):
                shown += piece
        except OSError:  # how Linux says that nobody is at the other end
            pass
        os.close(primary)
        assert process.wait(HANGS_S) == 0, shown
        assert b"Traceback" not in shown
        assert b"1 upload ready" in shown

    def test_the_user_key_can_be_set(self, tmp_path, capsys):
        Credentials().keep(User("jane", USER_TOKEN))
        assert run(capsys, "config", "edit", "--user-name", "jane", "--user-key", "77")[0] == 0
        assert mlygeo.edit_config()["user_key"].tolist() == ["77"]
        assert run(capsys, "config", "edit", "--user-name", "jane", "--user-key", "")[0] == 2


class TestKeyring:
    @pytest.fixture
    def ring(self, tmp_path, monkeypatch):
        """A keyring that keeps its secrets in a file, as the package keyring reaches it."""
        pytest.importorskip("keyrings.alt", reason="keyrings.alt is not installed")
        import keyring
        from keyrings.alt.file import PlaintextKeyring

        monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyrings.alt.file.PlaintextKeyring")
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
        before = keyring.get_keyring()
        keyring.set_keyring(PlaintextKeyring())
        yield tmp_path / "data" / "python_keyring" / "keyring_pass.cfg"
        keyring.set_keyring(before)

    @pytest.mark.parametrize("form", ["credentials.json", "config"])
    def test_a_real_one_has_the_token_and_the_file_has_not(self, server, ring, tmp_path, form):
        import keyring

        file = tmp_path / form
        words = ("authenticate", "--user-name", "jane", "--jwt", "-", "--keyring", "--config-file", file)
        done = finished(started(*words, text=USER_TOKEN))
        assert done.returncode == 0, done.stderr
        assert USER_TOKEN not in file.read_text()
        assert ring.exists()
        entry = f"jane ({file})"
        assert keyring.get_password("mlygeo", "jane") is None, "a user of that name in the usual file is another"
        assert keyring.get_password("mlygeo", entry) == USER_TOKEN
        user = Credentials(file).find("jane")
        assert (user.in_keyring, user.read_token()) == (True, USER_TOKEN)
        folder_of(tmp_path / "a", 2)
        done = finished(started("upload", tmp_path / "a", "--config-file", file))
        assert done.returncode == 0, done.stderr
        mlygeo.edit_config("edit", user_name="jane", organization_key="2", config_file=file)
        assert Credentials(file).find("jane").read_token() == USER_TOKEN
        # Signing in anew without the keyring brings the token into the file, and takes it out of the keyring.
        mlygeo.authenticate(user_name="jane", jwt=USER_TOKEN, force_overwrite=True, config_file=file)
        assert keyring.get_password("mlygeo", entry) is None
        assert Credentials(file).find("jane").token == USER_TOKEN
        mlygeo.authenticate(user_name="jane", jwt=USER_TOKEN, force_overwrite=True, config_file=file, keyring=True)
        mlygeo.edit_config("remove", user_name="jane", config_file=file)
        assert keyring.get_password("mlygeo", entry) is None
        assert not Credentials(file).users

    def test_one_that_does_not_answer_is_said_in_a_line(self, server, monkeypatch, capsys):
        pytest.importorskip("keyring")
        import keyring
        from keyring.backends.fail import Keyring

        before = keyring.get_keyring()
        keyring.set_keyring(Keyring())
        try:
            status, _, err = run(capsys, "authenticate", "--user-name", "jane", "--jwt", USER_TOKEN, "--keyring")
        finally:
            keyring.set_keyring(before)
        assert status == 2
        assert "error: the system's keyring does not take the token" in err
        assert USER_TOKEN not in err
        assert not Credentials().users
