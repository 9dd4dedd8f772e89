"""Configuration files, endpoints and tokens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.tokens import TOKEN
from helpers.unix import needs_symlinks

from mlygeo import config
from mlygeo.errors import ConfigError, CredentialsError, FileError
from mlygeo.providers.mapillary.service import TOKENS, Endpoints

PERCEPT = {
    "bounding_box": {"west": 9.1616, "south": 48.7624, "east": 9.1759, "north": 48.7789},
    "tile_cache_dir": "stuttgart_tile_cache",
    "seqdir": "stuttgart_seqs",
}


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


class TestLoad:
    def test_the_keys_of_percept_are_read_relative_to_the_file(self, tmp_path):
        found = config.load(written(tmp_path / "c.json", json.dumps(PERCEPT)))
        assert found.bounding_box == PERCEPT["bounding_box"]
        assert found.tile_cache_dir == tmp_path / "stuttgart_tile_cache"
        assert found.seqdir == tmp_path / "stuttgart_seqs"
        assert (found.token_file, found.region, found.place, found.path) == (None, None, None, tmp_path / "c.json")

    def test_toml_says_the_same_as_json(self, tmp_path):
        text = (
            'tile_cache_dir = "stuttgart_tile_cache"\nseqdir = "stuttgart_seqs"\n'
            "[bounding_box]\nwest = 9.1616\nsouth = 48.7624\neast = 9.1759\nnorth = 48.7789\n"
        )
        toml = config.load(written(tmp_path / "c.toml", text))
        as_json = config.load(written(tmp_path / "c.json", json.dumps(PERCEPT)))
        for name in ("bounding_box", "tile_cache_dir", "seqdir"):
            assert getattr(toml, name) == getattr(as_json, name)

    @pytest.mark.parametrize("text", ['{"place": "Utrecht"}', 'place = "Utrecht"'])
    def test_another_ending_is_whichever_it_is(self, tmp_path, text):
        assert config.load(written(tmp_path / "settings.conf", text)).place == "Utrecht"

    def test_a_byte_order_mark_and_line_ends_of_windows_are_tolerated(self, tmp_path):
        text = b"\xef\xbb\xbf" + json.dumps(PERCEPT, indent=2).replace("\n", "\r\n").encode()
        assert config.load(written(tmp_path / "c.json", text)).bounding_box == PERCEPT["bounding_box"]

    def test_the_home_folder_and_absolute_paths(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        text = json.dumps({"tile_cache_dir": "~/tiles", "region": str(tmp_path / "r.geojson")})
        found = config.load(written(tmp_path / "c.json", text))
        assert found.tile_cache_dir == tmp_path / "home" / "tiles"
        assert found.region == tmp_path / "r.geojson"

    def test_a_bounding_box_may_leave_sides_to_the_command_line(self, tmp_path):
        found = config.load(written(tmp_path / "c.json", '{"bounding_box": {"west": 9, "north": 49}}'))
        assert found.bounding_box == {"west": 9.0, "north": 49.0}

    @pytest.mark.parametrize(
        ("text", "says", "hint"),
        [
            ('{"sedqir": "s"}', "unknown key 'sedqir'", "did you mean seqdir?"),
            ('{"tile_cache": "t"}', "unknown key 'tile_cache'", "did you mean tile_cache_dir?"),
            ('{"Place": "Utrecht"}', "unknown key 'Place'", "did you mean place?"),
            ('{"place": "Utrecht", "region": "r.gpkg"}', "several regions: region and place", "keep one of them"),
            ('{"bounding_box": {"west": 1, "nort": 2}}', "unknown key 'nort' in bounding_box", "did you mean north?"),
            ('{"interval": 50}', "unknown key 'interval'", "the keys are bounding_box, tile_cache_dir"),
            ('{"place": "Ulm", "place": "Bonn"}', "'place' stands there twice", None),
            ('{"bounding_box": {"west": "9.1"}}', "bounding_box.west", "without quotes"),
            (r'{"seqdir": "C:\data"}', "Invalid", "write / or \\\\ in paths"),
            (r'{"seqdir": "C:\users"}', "Invalid", "write / or \\\\ in paths"),
            (r'{"seqdir": "C:\temp\new"}', "seqdir", "write / or \\\\ in paths"),
            (r'{"seqdir": "a\ud800"}', "seqdir", "write / or \\\\ in paths"),
        ],
    )
    def test_a_key_or_value_in_doubt_is_an_error_with_a_remedy(self, tmp_path, text, says, hint):
        with pytest.raises(ConfigError) as caught:
            config.load(written(tmp_path / "c.json", text))
        assert says in str(caught.value)
        assert "c.json" in str(caught.value)
        assert caught.value.hint is hint or hint in caught.value.hint

    @pytest.mark.parametrize("text", [r'seqdir = "C:\data"', r'seqdir = "C:\users"', r'seqdir = "C:\temp"'])
    def test_backslashes_in_toml(self, tmp_path, text):
        with pytest.raises(ConfigError) as caught:
            config.load(written(tmp_path / "c.toml", text))
        assert "write / or" in caught.value.hint

    def test_notes_are_left_alone(self, tmp_path):
        text = '{"_comment": 1, "$schema": "x", "seqdir": "s", "bounding_box": {"west": 1, "_why": 2}}'
        found = config.load(written(tmp_path / "c.json", text))
        assert (found.seqdir, found.bounding_box) == (tmp_path / "s", {"west": 1.0})

    @pytest.mark.parametrize(
        ("name", "text", "says"),
        [
            ("c.json", "{", "line 1"),
            ("c.json", '{"seqdir": "a",\n "place": }', "line 2"),
            ("c.json", "[" * 100_000, "broken JSON"),
            ("c.json", "[]", "list"),
            ("c.json", "", "broken JSON"),
            ("c.json", b"\xff\xfe\x00", "UTF-16"),
            ("c.json", b"\xe9", "UTF-8"),
            ("c.gpkg", b"GPKG\0\xe9", "c.gpkg is not text"),
            ("c.json", b"[" + b" " * 1_100_000, "too long"),
            ("c.toml", 'seqdir = "a"\nplace = \n', "line 2"),
            ("c.conf", "<xml/>", "neither JSON"),
            ("c.json", '{"seqdir": 3}', "seqdir is 3"),
            ("c.json", '{"place": ""}', "place"),
            ("c.json", '{"tile_cache_dir": "a\\u0000b"}', "tile_cache_dir"),
            ("c.json", '{"bounding_box": [1, 2, 3, 4]}', "bounding_box is [1, 2, 3, 4]"),
            ("c.json", '{"bounding_box": {"west": "9.1"}}', "bounding_box.west is '9.1'"),
            ("c.json", '{"bounding_box": {"west": true}}', "bounding_box.west is True"),
            ("c.json", '{"bounding_box": {"west": NaN}}', "bounding_box.west is nan"),
            ("c.json", '{"bounding_box": {"west": 1e999}}', "bounding_box.west is inf"),
            ("c.json", '{"bounding_box": {"west": 1' + "0" * 400 + "}}", "bounding_box.west"),
        ],
    )
    def test_a_broken_file_is_one_clear_line(self, tmp_path, name, text, says):
        with pytest.raises(ConfigError) as caught:
            config.load(written(tmp_path / name, text))
        assert says in str(caught.value)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300 + len(str(tmp_path))
        assert caught.value.exit_status == 2

    @needs_symlinks
    def test_a_missing_file_and_a_folder(self, tmp_path):
        with pytest.raises(FileError, match=r"nothing\.json does not exist"):
            config.load(tmp_path / "nothing.json")
        with pytest.raises(FileError, match="is a folder, not a file"):
            config.load(tmp_path)
        with pytest.raises(FileError, match="null"):
            config.load("a\0b.json")
        (tmp_path / "link.json").symlink_to("nowhere")
        with pytest.raises(FileError, match="broken link"):
            config.load(tmp_path / "link.json")


class TestFind:
    """The configuration of a project."""

    @pytest.fixture(autouse=True)
    def at_home(self, tmp_path, monkeypatch):
        self.home = tmp_path / "home"
        self.folder = self.home / "project" / "deep" / "deeper"
        self.folder.mkdir(parents=True)
        monkeypatch.setenv("HOME", str(self.home))

    def test_the_nearest_wins_up_to_the_home_folder(self, tmp_path):
        written(tmp_path / "mlygeo.toml", 'place = "above home"')
        assert config.find(self.folder) is None
        for place, name in (
            (self.home, "mlygeo.json"),
            (self.folder.parents[1], "mlygeo.toml"),
            (self.folder, "mlygeo.json"),
        ):
            path = written(place / name, "x")
            assert config.find(self.folder) == path

    def test_outside_of_the_home_folder_it_goes_up_to_the_root(self, tmp_path):
        elsewhere = tmp_path / "elsewhere" / "below"
        elsewhere.mkdir(parents=True)
        path = written(tmp_path / "mlygeo.toml", "")
        assert config.find(elsewhere) == path

    def test_the_table_of_a_project(self):
        project = written(self.folder / "pyproject.toml", '[project]\nname = "mlygeo-study"\n')
        above = written(self.folder.parent / "mlygeo.toml", 'place = "Ulm"')
        assert config.find(self.folder) == above
        written(project, '[project]\nname = "study"\n[tool.mlygeo]\nplace = "Bonn"\n')
        assert config.find(self.folder) == project
        assert config.load(project).place == "Bonn"
        written(project, "[tool\nmlygeo broken")
        assert config.find(self.folder) == above
        written(project, "[tool.mlygeo\nbroken")
        with pytest.raises(ConfigError, match="broken TOML"):
            config.load(config.find(self.folder))

    def test_several_in_one_folder_are_in_doubt(self):
        written(self.folder / "mlygeo.toml", "")
        written(self.folder / "mlygeo.json", "{}")
        with pytest.raises(ConfigError, match=r"mlygeo\.toml and mlygeo\.json in .* are both configurations"):
            config.find(self.folder)

    @needs_symlinks
    @pytest.mark.parametrize("name", config.FILES)
    def test_what_is_no_file_is_an_error(self, name):
        path = self.folder / name
        path.mkdir()
        with pytest.raises(ConfigError, match="is a folder"):
            config.find(self.folder)
        path.rmdir()
        path.symlink_to("nowhere")
        with pytest.raises(ConfigError, match="is a broken link"):
            config.find(self.folder)

    def test_a_removed_working_folder(self, monkeypatch):
        monkeypatch.chdir(self.folder)
        self.folder.rmdir()
        assert config.find() is None


class TestToken:
    @pytest.fixture(autouse=True)
    def elsewhere(self, tmp_path, monkeypatch):
        (tmp_path / "work").mkdir()
        (tmp_path / "user").mkdir()
        monkeypatch.chdir(tmp_path / "work")
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
        self.user_file = tmp_path / "user" / "mlygeo" / "token.txt"
        self.user_file.parent.mkdir()

    def test_the_order(self, tmp_path):
        assert TOKENS.find(environ={}) is None
        written(self.user_file, "user\n")
        assert TOKENS.find(environ={}) == "user"
        written(Path("token.txt"), "  folder \r\n")
        assert TOKENS.find(environ={}) == "folder"
        environ = {"MAPILLARY_TOKEN": "third"}
        assert TOKENS.find(environ=environ) == "third"
        environ["MLY_ACCESS_TOKEN"] = "second"
        assert TOKENS.find(environ=environ) == "second"
        environ["MAPILLARY_ACCESS_TOKEN"] = "first"
        assert TOKENS.find(environ=environ) == "first"
        named = written(tmp_path / "t", "\ufefffile")
        assert TOKENS.find(token_file=named, environ=environ) == "file"
        assert TOKENS.find("argument", token_file=named, environ=environ) == "argument"

    def test_an_empty_variable_counts_as_unset(self):
        assert TOKENS.find(environ={"MAPILLARY_ACCESS_TOKEN": " ", "MAPILLARY_TOKEN": TOKEN}) == TOKEN

    def test_the_process_environment_is_the_default(self, monkeypatch):
        monkeypatch.setenv("MLY_ACCESS_TOKEN", TOKEN)
        assert TOKENS.require() == TOKEN

    @pytest.mark.parametrize(
        "content",
        ["", " \n", "SECRET one", "SECRET\nmore", "SECRET\x00", "SECRETé", b"\xff\xfeS\x00", b"SECRET" * 20_000],
    )
    def test_what_is_no_token_is_refused_and_never_shown(self, tmp_path, content):
        path = written(tmp_path / "t.txt", content)
        with pytest.raises(CredentialsError) as caught:
            TOKENS.find(token_file=path)
        assert "t.txt" in str(caught.value)
        assert "SECRET" not in str(caught.value) + str(caught.value.hint)
        assert caught.value.__cause__ is None
        assert caught.value.exit_status == 2

    def test_a_bad_argument_or_variable_is_never_shown(self):
        for call in (
            lambda: TOKENS.find("SECRET x"),
            lambda: TOKENS.find(environ={"MLY_ACCESS_TOKEN": "SECRET\tx"}),
        ):
            with pytest.raises(CredentialsError) as caught:
                call()
            assert "SECRET" not in str(caught.value)

    def test_a_file_that_was_named_must_exist(self, tmp_path):
        with pytest.raises(FileError, match=r"nothing\.txt"):
            TOKENS.find(token_file=tmp_path / "nothing.txt", environ={"MLY_ACCESS_TOKEN": TOKEN})
        with pytest.raises(FileError, match="directory"):
            TOKENS.find(token_file=tmp_path)

    def test_the_token_of_the_sequence_downloader(self, tmp_path):
        """Its `config.py` is read, and not run."""
        text = f"import os\nos.mkdir({str(tmp_path / 'ran')!r})\naccess_token = '{TOKEN}'\n"
        written(Path("config.py"), text)
        assert TOKENS.find(environ={}) == TOKEN
        written(self.user_file, "user")
        assert TOKENS.find(environ={}) == TOKEN
        assert TOKENS.find(environ={"MLY_ACCESS_TOKEN": "first"}) == "first"
        assert not (tmp_path / "ran").exists()
        # That of another service is not sent to this one, unless its file is named.
        written(Path("config.py"), "access_token: str = 'of-another-service'")
        assert TOKENS.find(environ={}) == "user"
        assert TOKENS.find(token_file="config.py", environ={}) == "of-another-service"

    @pytest.mark.parametrize(
        "text",
        ["access_token =", "token = 'SECRET'", "access_token = os.environ['SECRET']", "access_token = 3", b"\0", "(" * 9999,
         "access_token: str", "access_token = ''", "'\\d'; access_token = 'SECRET x'"],
    )  # fmt: skip
    def test_a_config_py_without_a_token(self, text):
        written(Path("config.py"), text)
        assert TOKENS.find(environ={}) is None
        with pytest.raises(CredentialsError) as caught:
            TOKENS.find(token_file="config.py")
        assert "config.py" in str(caught.value)
        assert "SECRET" not in str(caught.value)

    def test_no_token_says_where_it_was_looked_for(self):
        with pytest.raises(CredentialsError) as caught:
            TOKENS.require(environ={})
        for name in (*TOKENS.variables, "token.txt"):
            assert name in str(caught.value)
        assert "https://www.mapillary.com/dashboard/developers" in caught.value.hint


class TestEndpoints:
    def test_the_real_ones_are_the_default(self):
        assert Endpoints.from_environment({}) == Endpoints()
        assert Endpoints().tiles == "https://tiles.mapillary.com"

    def test_the_environment_wins(self):
        found = Endpoints.from_environment(
            {
                "MAPILLARY_GRAPH_API_ENDPOINT": "http://127.0.0.1:8000/",
                "MAPILLARY_UPLOAD_ENDPOINT": "https://upload.example/x/",
                "MAPILLARY_TILES_ENDPOINT": "http://[::1]:80",
            }
        )
        assert found == Endpoints("http://127.0.0.1:8000", "http://[::1]:80", "https://upload.example/x")

    @pytest.mark.parametrize(
        "url",
        [
            "tiles.mapillary.com",
            "ftp://x",
            "https://",
            "http://x:y",
            "http://[::1",
            "https://x y",
            "https://x?a=b",
            "http://localhost:99999",
        ],
    )
    def test_what_is_no_url_is_an_error(self, url):
        with pytest.raises(ConfigError, match="MAPILLARY_TILES_ENDPOINT"):
            Endpoints.from_environment({"MAPILLARY_TILES_ENDPOINT": url})

    @pytest.mark.parametrize("host", ["example.com", "10.0.0.1", "127.0.0.1.example.com", "localhost.example.com"])
    def test_a_token_never_travels_unencrypted_to_another_machine(self, host):
        with pytest.raises(ConfigError, match="unencrypted"):
            Endpoints(tiles=f"http://{host}")
        assert Endpoints(tiles=f"https://{host}").tiles == f"https://{host}"

    def test_a_password_in_a_url_is_refused_and_not_shown(self):
        with pytest.raises(ConfigError) as caught:
            Endpoints(tiles="https://me:SECRET@example.com")
        assert "SECRET" not in str(caught.value)
