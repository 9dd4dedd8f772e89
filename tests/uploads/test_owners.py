"""Whose uploads they are: the organization, the privacy and the user that images name, wherever they name them."""

import hashlib
import json
import shutil

import pandas as pd
import pytest
from conftest import DATA
from helpers.command_line import run
from helpers.photo_folders import folder_of as camera_folder
from helpers.upload_folders import (
    USER_TOKEN,
    clusters_of,
    described,
    folder_of,
    log_of,
    photo,
    service_of,
    with_description,
)

import mlygeo
from mlygeo.errors import CredentialsError, InputError
from mlygeo.net.answers import RefusedError
from mlygeo.providers.mapillary import descriptions
from mlygeo.providers.mapillary.accounts import Credentials, User
from mlygeo.providers.mapillary.uploads import Uploads, manifest_of, session_key
from mlygeo.readers.photos import read_photos
from mlygeo.standin import serve
from mlygeo.uploads.archives import write_zip

DESCRIPTION = "mapillary_image_description.json"


@pytest.fixture(autouse=True)
def history(tmp_path, monkeypatch):
    monkeypatch.setenv("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLYGEO_NO_PROGRESS", "1")


@pytest.fixture
def server(tmp_path, images):
    """A stand-in that knows the organizations 2 and 3; whoever asks is user_1."""
    whose = {"organization_id": [2, 3, 2, 3], "creator_id": [1] * 4}
    known = images.head(4).assign(**{name: pd.array(keys, dtype="Int64") for name, keys in whose.items()})
    with serve(known, store=tmp_path / "store", token=USER_TOKEN) as server:
        yield server


@pytest.fixture
def environment(server, monkeypatch):
    monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
    monkeypatch.setenv("MAPILLARY_UPLOAD_ENDPOINT", server.endpoints.upload)


def processed(folder, count=3, **options):
    camera_folder(folder, count)
    mlygeo.process(folder, **{"user_name": "sec", **options})
    return folder


def app_photo(path, number, **more):
    """Write a photo as the Mapillary app takes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {"MAPLatitude": 48.77 + number * 1e-5, "MAPLongitude": 9.17, "MAPSequenceUUID": "app",
            "MAPCaptureTime": f"2024_01_01_00_00_{number:02}_000", **more}  # fmt: skip
    path.write_bytes(with_description(photo(number), fields))


def owners(server):
    """Return the organization of each cluster, and how many images it has."""
    return [(cluster["organization_id"], len(cluster["images"])) for cluster in clusters_of(server.store)]


def nothing_sent(server):
    return not log_of(server.store) and server.count("upload") == server.count("upload_offset") == 0


SECRET = {"organization_key": "2", "private": True}


class TestWhatProcessWasTold:
    def assert_secret(self, server, count=3):
        (cluster,) = clusters_of(server.store)
        result = described(cluster)
        assert cluster["organization_id"] == "2"
        assert len(result) == count
        for each in result:
            assert (each["MAPPrivate"], each["MAPOrganizationKey"], each["MAPSettingsUsername"]) == (True, "2", "sec")
            assert each["MAPPhotoUUID"]

    @pytest.mark.parametrize("skip_exif_insert", [False, True])
    def test_goes_up_with_the_images(self, server, tmp_path, skip_exif_insert):
        folder = processed(tmp_path / "p", skip_exif_insert=skip_exif_insert, **SECRET)
        mlygeo.upload(folder, service=service_of(server))
        self.assert_secret(server)

    def test_is_known_from_the_photos_alone_where_they_were_copied(self, server, tmp_path):
        folder = processed(tmp_path / "p", **SECRET)
        (tmp_path / "copy").mkdir()
        for path in folder.glob("*.jpg"):
            shutil.copy(path, tmp_path / "copy")
        mlygeo.upload(tmp_path / "copy", service=service_of(server))
        self.assert_secret(server)

    def test_is_known_from_the_photos_where_another_tool_described_them(self, server, tmp_path):
        """The file of the official client holds none of it, and no record of ours is there."""
        folder = processed(tmp_path / "p", **SECRET)
        shutil.rmtree(folder / ".mlygeo")
        mlygeo.upload(folder, service=service_of(server))
        self.assert_secret(server)

    def test_goes_into_archives(self, server, tmp_path):
        folder = processed(tmp_path / "p", **SECRET)
        mlygeo.zip_sequences(folder, output=tmp_path / "zips")
        mlygeo.upload(tmp_path / "zips", service=service_of(server))
        self.assert_secret(server)

    def test_an_edited_description_file_comes_first(self, server, tmp_path):
        """What it holds counts as it stands there; what it has no field for comes from the record."""
        folder = processed(tmp_path / "p", **SECRET)
        path = folder / DESCRIPTION
        result = json.loads(path.read_text())
        for each in result:
            each["MAPLatitude"] = 12.5
            each.pop("MAPCompassHeading", None)
        result[0]["MAPOrganizationKey"] = "3"
        path.write_text(json.dumps(result))
        mlygeo.upload(folder, service=service_of(server))
        assert owners(server) == [("3", 1), ("2", 2)]
        sent = [each for cluster in clusters_of(server.store) for each in described(cluster)]
        assert {each["MAPLatitude"] for each in sent} == {12.5}
        assert not any("MAPCompassHeading" in each for each in sent), "a heading that was taken out stays out"
        assert {each["MAPPrivate"] for each in sent} == {True}

    def test_what_is_taken_back_does_not_come_back_from_the_photos(self, server, tmp_path):
        """The second run says that they are nobody's; their EXIF still says what the first run was told."""
        folder = processed(tmp_path / "p", **SECRET)
        mlygeo.process(folder, user_name="sec", skip_exif_insert=True)
        assert '"MAPOrganizationKey":"2"' in read_photos(folder)["image_description"].iloc[0]
        mlygeo.upload(folder, service=service_of(server))
        assert owners(server) == [(None, 3)]
        assert not any(each.get("MAPPrivate") for each in described(clusters_of(server.store)[0]))

    def test_originals_are_asked_of_the_organization(self, server, tmp_path):
        processed(tmp_path / "p" / "a", **SECRET)
        processed(tmp_path / "p" / "b")
        for folder, whose in (("a", {("2", None)}), ("b", {(None, "user_1")}), ("", {("2", None), (None, "user_1")})):
            server.requests.clear()
            mlygeo.download_originals(tmp_path / "p" / folder, output=tmp_path / "o", service=service_of(server))
            asked = [request.query for request in server.requests if request.path == "/images"]
            assert {(each.get("organization_id"), each.get("creator_username")) for each in asked} == whose


class TestOrganizations:
    def test_one_that_does_not_exist_fails_before_anything_is_sent(self, server, tmp_path):
        folder = processed(tmp_path / "p", organization_key="42")
        with pytest.raises(CredentialsError, match="no organization 42 for this user"):
            mlygeo.upload(folder, service=service_of(server))
        mlygeo.zip_sequences(folder, output=tmp_path / "zips")
        with pytest.raises(CredentialsError, match="no organization 42 for this user"):
            mlygeo.upload(tmp_path / "zips", service=service_of(server))
        assert nothing_sent(server)

    def test_the_stand_in_finishes_nothing_for_one_that_it_does_not_know(self, server):
        body = photo(1)
        with Uploads(service_of(server)) as uploads:
            handle = uploads.send(session_key(hashlib.md5(body).hexdigest(), "jpg"), body, what="a picture")
            key, manifest = manifest_of([handle])
            handle = uploads.send(key, manifest, what="a manifest")
            for wrong in ("42", "x", "4" * 30):
                with pytest.raises(RefusedError, match="no organization"):
                    uploads.finish(handle, "mly_bundle_manifest", organization_id=wrong, what="it")
            uploads.finish(handle, "mly_bundle_manifest", organization_id="3", what="it")
        assert owners(server) == [("3", 1)]

    def test_private_images_without_one_fail_before_anything_is_sent(self, server, tmp_path):
        folder = processed(tmp_path / "p", private=True)
        with pytest.raises(InputError, match="3 private images belong to no organization"):
            mlygeo.upload(folder, service=service_of(server))
        mlygeo.zip_sequences(folder, output=tmp_path / "zips")
        with pytest.raises(InputError, match="3 private images belong to no organization"):
            mlygeo.upload(tmp_path / "zips", service=service_of(server))
        assert nothing_sent(server)
        mlygeo.upload(tmp_path / "zips", service=service_of(server), organization_key="3")
        assert owners(server) == [("3", 3)]

    def test_each_image_goes_up_for_its_own(self, server, tmp_path):
        """Of one sequence even: an image that names none stays personal."""
        extra = {0: {"MAPOrganizationKey": "2"}, 1: {"MAPOrganizationKey": "3", "MAPPrivate": True}, 2: {}}
        for number in range(9):
            app_photo(tmp_path / "p" / f"{number}.jpg", number, **extra[number % 3])
        summary = mlygeo.upload(tmp_path / "p", service=service_of(server)).attrs["summary"]
        assert (summary["images"], summary["sequences"]) == (9, 3)
        assert owners(server) == [("2", 3), ("3", 3), (None, 3)]
        for cluster in clusters_of(server.store):
            assert {each.get("MAPOrganizationKey") for each in described(cluster)} == {cluster["organization_id"]}

    def test_archives_too(self, server, tmp_path):
        for number in range(6):
            app_photo(tmp_path / "p" / f"{number}.jpg", number, **({"MAPOrganizationKey": "2", "MAPPrivate": True} if number % 2 else {}))  # fmt: skip
        archives = mlygeo.zip_sequences(tmp_path / "p", output=tmp_path / "zips")
        assert archives["images"].tolist() == [3, 3]
        mlygeo.upload(tmp_path / "zips", service=service_of(server))
        assert sorted(owners(server), key=str) == [("2", 3), (None, 3)]

    def test_an_archive_of_several_is_not_sent(self, server, tmp_path):
        for number in range(2):
            app_photo(tmp_path / f"{number}.jpg", number, MAPOrganizationKey=str(number + 2))
        write_zip([(str(number), (tmp_path / f"{number}.jpg").read_bytes()) for number in range(2)], tmp_path / "zips")
        summary = mlygeo.upload(tmp_path / "zips", service=service_of(server)).attrs["summary"]
        assert summary["failed"] == 1
        assert nothing_sent(server)

    def test_the_one_that_is_given_counts_for_all(self, server, tmp_path):
        """What is sent says the same: not that it were another's."""
        for number in range(4):
            app_photo(tmp_path / "p" / f"{number}.jpg", number, **({"MAPOrganizationKey": "2"} if number % 2 else {}))
        mlygeo.upload(tmp_path / "p", service=service_of(server), organization_key="3")
        assert {owner for owner, _ in owners(server)} == {"3"}
        result = [
            each.get("MAPOrganizationKey") for cluster in clusters_of(server.store) for each in described(cluster)
        ]
        assert set(result) <= {"3", None}

    def test_none_can_be_given_too(self, server, tmp_path):
        app_photo(tmp_path / "p" / "0.jpg", 0, MAPOrganizationKey="42")
        mlygeo.upload(tmp_path / "p", service=service_of(server), organization_key="none")
        assert owners(server) == [(None, 1)]
        assert "MAPOrganizationKey" not in described(clusters_of(server.store)[0])[0]

    def test_an_archive_cannot_become_anothers(self, server, tmp_path):
        app_photo(tmp_path / "p" / "0.jpg", 0, MAPOrganizationKey="2")
        mlygeo.zip_sequences(tmp_path / "p", output=tmp_path / "zips")
        with pytest.raises(InputError, match="of organization 2"):
            mlygeo.upload(tmp_path / "zips", service=service_of(server), organization_key="3")
        assert nothing_sent(server)

    def test_a_name_that_process_was_given_is_looked_up(self, server, environment, tmp_path):
        folder = processed(tmp_path / "p", user_name="user_1", organization_name="City", private=True)
        Credentials().keep(User("user_1", USER_TOKEN, user_name="user_1"))
        with pytest.raises(CredentialsError, match="no organization 'City' was used before"):
            mlygeo.upload(folder)
        with pytest.raises(InputError, match="'City'"):
            mlygeo.zip_sequences(folder, output=tmp_path / "zips")
        assert nothing_sent(server)
        mlygeo.edit_config("edit", user_name="user_1", organization_key="3", organization_name="City")
        mlygeo.edit_config("edit", user_name="user_1", organization_key="2")
        mlygeo.upload(folder)
        assert owners(server) == [("3", 3)]


class TestPrivate:
    def test_images_that_describe_themselves_become_private_too(self, server, tmp_path):
        more = {"MAPPhotoUUID": "u", "MAPVersionString": "5.1", "MAPAtanAngle": 1.25}
        for number in range(3):
            app_photo(tmp_path / "p" / f"{number}.jpg", number, **more)
        mlygeo.upload(tmp_path / "p", service=service_of(server), private=True, organization_key="2")
        (cluster,) = clusters_of(server.store)
        for each in described(cluster):
            assert each["MAPPrivate"] is True
            assert {name: each[name] for name in more} == more, "what else they say stays"

    def test_in_archives_too(self, server, tmp_path):
        for number in range(3):
            app_photo(tmp_path / "p" / f"{number}.jpg", number)
        mlygeo.zip_sequences(tmp_path / "p", output=tmp_path / "zips", private=True)
        with pytest.raises(InputError, match="3 private images"):
            mlygeo.upload(tmp_path / "zips", service=service_of(server))
        mlygeo.upload(tmp_path / "zips", service=service_of(server), private=True, organization_key="2")
        assert [each["MAPPrivate"] for each in described(clusters_of(server.store)[0])] == [True] * 3

    def test_archives_that_are_public_cannot_be_made_private(self, server, tmp_path):
        app_photo(tmp_path / "p" / "0.jpg", 0)
        mlygeo.zip_sequences(tmp_path / "p", output=tmp_path / "zips")
        with pytest.raises(InputError, match="not private"):
            mlygeo.upload(tmp_path / "zips", service=service_of(server), private=True, organization_key="2")
        assert nothing_sent(server)

    def test_videos_cannot_either(self, server, tmp_path):
        app_photo(tmp_path / "p" / "0.jpg", 0)
        shutil.copy(DATA / "video" / "blackvue_form_leeds.mp4", tmp_path / "p")
        options = {"service": service_of(server), "private": True, "organization_key": "2"}
        with pytest.raises(InputError, match=r"leeds\.mp4 .*cannot be marked as private"):
            mlygeo.upload(tmp_path / "p", **options)
        assert nothing_sent(server)
        mlygeo.upload(tmp_path / "p", file_types="image", **options)
        assert owners(server) == [("2", 1)]


class TestUsers:
    @pytest.fixture(autouse=True)
    def signed_in(self, environment):
        """Jane has signed in, and Joe after her: he is meant where nobody is named. His token is none any more."""
        Credentials().keep(User("jane", USER_TOKEN, user_name="user_1"))
        Credentials().keep(User("joe", "a-token-that-is-refused", user_name="joe"))

    @pytest.mark.parametrize("name", ["jane", "user_1"])
    def test_the_user_that_the_images_name_uploads_them(self, server, tmp_path, name):
        folder = processed(tmp_path / "p", user_name=name)
        assert mlygeo.upload(folder)["user_key"].tolist() == ["1"] * 3
        assert owners(server) == [(None, 3)]

    def test_in_an_archive_too(self, server, tmp_path):
        folder = processed(tmp_path / "p", user_name="jane")
        mlygeo.zip_sequences(folder, output=tmp_path / "zips")
        assert mlygeo.upload(tmp_path / "zips").attrs["summary"]["zips"] == 1

    def test_one_who_has_not_signed_in_is_an_error(self, server, tmp_path, monkeypatch, capsys):
        folder = processed(tmp_path / "p", user_name="jim")
        with pytest.raises(CredentialsError, match="the images name the user 'jim', who has not signed in") as caught:
            mlygeo.upload(folder)
        assert "`user_name`" in caught.value.hint
        monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", USER_TOKEN)
        with pytest.raises(CredentialsError, match=r"'jim'.* of user_1"):
            mlygeo.upload(folder)
        assert nothing_sent(server)
        monkeypatch.delenv("MAPILLARY_ACCESS_TOKEN")
        assert run(capsys, "upload", folder)[0] == 2
        assert run(capsys, "upload", folder, "--user-name", "jane")[0] == 0
        assert owners(server) == [(None, 3)]

    def test_the_environments_token_does_for_its_own_user(self, server, tmp_path, monkeypatch):
        Credentials().remove("jane")
        folder = processed(tmp_path / "p", user_name="user_1")
        monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", USER_TOKEN)
        assert mlygeo.upload(folder).attrs["summary"]["images"] == 3

    def test_a_token_that_is_given_is_the_users_that_is_meant(self, server, tmp_path):
        folder = processed(tmp_path / "p", user_name="jim")
        assert mlygeo.upload(folder, token=USER_TOKEN).attrs["summary"]["images"] == 3

    def test_who_uploads_photos_that_name_nobody_is_said_first(self, server, tmp_path, capsys):
        Credentials().keep(User("joe", USER_TOKEN, user_name="user_1"))
        camera_folder(tmp_path / "p", 2)
        mlygeo.process(tmp_path / "p")
        status, out, said = run(capsys, "upload", tmp_path / "p", "--json")
        assert status == 0, said
        assert "the images name no user; they are uploaded as user_1, who signed in last" in said
        assert json.loads(out)["user_name"] == "user_1"
        _, _, said = run(capsys, "upload", tmp_path / "p", "--user-name", "jane")
        assert "warning" not in said

    def test_a_user_who_signed_in_with_the_token_of_another_is_said(self, server, tmp_path, caplog):
        folder = processed(tmp_path / "p", user_name="jane")
        mlygeo.upload(folder)
        assert (
            "name the user jane, who signed in here with the token of user_1: they are uploaded as user_1"
            in caplog.text
        )
        caplog.clear()
        mlygeo.upload(processed(tmp_path / "q", user_name="user_1"), reupload=True)
        assert "user_1" not in caplog.text
        mlygeo.upload(folder, token=USER_TOKEN, reupload=True)
        assert "the images name the user jane, and are uploaded as user_1" in caplog.text

    def test_a_refused_token_leads_to_signing_in(self, server, tmp_path, capsys):
        folder = processed(tmp_path / "p", user_name="joe")
        status, _, said = run(capsys, "upload", folder)
        assert status == 1
        assert "it refuses the access token" in said
        assert "mlygeo authenticate" in said
        assert "dashboard" not in said
        assert nothing_sent(server)

    def test_several_users_have_to_be_distinguished(self, server, tmp_path):
        processed(tmp_path / "p" / "a", user_name="jane")
        processed(tmp_path / "p" / "b", user_name="jim")
        with pytest.raises(InputError, match="several users: jane, jim") as caught:
            mlygeo.upload(tmp_path / "p")
        assert "`user_name`" in caught.value.hint
        assert nothing_sent(server)
        assert mlygeo.upload(tmp_path / "p" / "a").attrs["summary"]["images"] == 3


def test_the_file_that_process_writes_stays_one_that_the_official_client_takes(tmp_path):
    folder = processed(tmp_path / "p", organization_key="2", private=True)
    (one, *_) = json.loads((folder / DESCRIPTION).read_text())
    assert not set(one) & {"MAPPrivate", "MAPOrganizationKey", "MAPSettingsUsername", "MAPPhotoUUID"}
    assert descriptions.read_descriptions(folder / DESCRIPTION)["organization_key"].isna().all()


def test_the_sequences_of_a_folder_without_owners_are_as_they_were(server, tmp_path):
    entries = folder_of(tmp_path / "p", 6, a_sequence=3)
    mlygeo.upload(tmp_path / "p", service=service_of(server))
    assert owners(server) == [(None, 3), (None, 3)]
    assert [set(each) for cluster in clusters_of(server.store) for each in described(cluster)] == [
        {name for name in one if name.startswith("MAP")} - {"MAPSequenceUUID"} for one in entries
    ]


class TestWhatPhotosSayThemselves:
    """Photos of Mapillary's app name their owner in EXIF; processing them does not give them to another."""

    @pytest.fixture
    def photos(self, tmp_path):
        folder = tmp_path / "app"
        camera_folder(folder, 3)
        for number, path in enumerate(sorted(folder.rglob("*.[jJ][pP][gG]"))):
            fields = {"MAPLatitude": 48.77 + number * 1e-3, "MAPLongitude": 9.17, "MAPPrivate": True,
                    "MAPCaptureTime": f"2024_06_09_12_00_{number:02}_000", "MAPOrganizationKey": "2",
                    "MAPSettingsUsername": "jane"}  # fmt: skip
            path.write_bytes(with_description(path.read_bytes(), fields))
        return folder

    def test_private_images_stay_private(self, photos, server, environment, tmp_path):
        images = mlygeo.process(photos)
        assert images["private"].all()
        assert images["organization_key"].eq("2").all()
        assert images["user_name"].eq("jane").all()
        again = mlygeo.process(photos, rerun=True)
        assert again["private"].all()
        mlygeo.upload(photos, service=service_of(server))
        (cluster,) = clusters_of(tmp_path / "store")
        assert str(cluster["organization_id"]) == "2"
        assert all(one["MAPPrivate"] is True for one in described(cluster))

    def test_what_is_given_counts_before_it(self, photos):
        images = mlygeo.process(photos, user_name="bob", organization_key="3")
        assert images["user_name"].eq("bob").all()
        assert images["organization_key"].eq("3").all()
        assert images["private"].all()


class TestRecordsElsewhere:
    def test_the_owner_is_known_beside_photos_whose_frames_are_elsewhere(self, tmp_path, server, environment):
        photos = tmp_path / "photos"
        out = tmp_path / "out"
        processed(photos, organization_key="2", private=True, skip_exif_insert=True, output=out)
        mlygeo.upload(photos, service=service_of(server))
        (cluster,) = clusters_of(tmp_path / "store")
        assert str(cluster["organization_id"]) == "2"
        assert all(one["MAPPrivate"] is True for one in described(cluster))

    def test_an_older_public_record_does_not_count(self, tmp_path, server, environment):
        photos = tmp_path / "photos"
        processed(photos, skip_exif_insert=True)
        mlygeo.process(
            photos, organization_key="2", private=True, skip_exif_insert=True, rerun=True, output=tmp_path / "out"
        )
        mlygeo.upload(photos, service=service_of(server))
        (cluster,) = clusters_of(tmp_path / "store")
        assert str(cluster["organization_id"]) == "2"

    def test_a_subfolder_of_what_was_processed(self, tmp_path, server, environment):
        photos = tmp_path / "photos"
        camera_folder(photos / "k", 4)
        first = min((photos / "k").rglob("*.[jJ][pP][gG]"))
        mlygeo.process(photos, keep_duplicates=True)
        shutil.copy(first, first.with_name(f"copy_{first.name}"))
        images = mlygeo.process(photos, organization_key="2", private=True)
        assert images["is_duplicate"].sum() == 1
        (photos.parent / DESCRIPTION).write_text("{ somebody else's")
        mlygeo.upload(photos / "k", service=service_of(server))
        (cluster,) = clusters_of(tmp_path / "store")
        assert len(cluster["images"]) == 4
        assert str(cluster["organization_id"]) == "2"

    def test_what_is_gone_from_another_folder_is_not_missed(self, tmp_path, server, environment):
        photos = tmp_path / "photos"
        camera_folder(photos / "k", 3)
        camera_folder(photos / "other", 6)
        mlygeo.process(photos, organization_key="2")
        shutil.rmtree(photos / "other")
        uploads = mlygeo.upload(photos / "k", service=service_of(server))
        assert uploads.attrs["summary"]["images"] == 3
        assert not uploads.attrs["summary"]["failed"]

    def test_it_is_said_where_private_photos_become_public(self, tmp_path, caplog):
        photos = tmp_path / "photos"
        processed(photos, organization_key="2", private=True)
        mlygeo.process(photos, organization_key="2")
        assert "not any more" not in caplog.text
        mlygeo.process(photos)
        assert "3 photos were private or of an organization before, but not in this run" in caplog.text


class TestTokenInTheEnvironment:
    def test_the_user_of_the_token_can_be_named(self, tmp_path, server, environment, monkeypatch, capsys):
        monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", USER_TOKEN)
        folder_of(tmp_path / "a", 2)
        status, _, said = run(capsys, "upload", tmp_path / "a", "--user-name", "nobody")
        assert status == 2
        assert "the user 'nobody' is asked for, and the access token in the environment is that of" in said
        name = said.split("is that of '")[1].split("'")[0]
        status, _, said = run(capsys, "upload", tmp_path / "a", "--user-name", name)
        assert status == 0, said
        assert len(clusters_of(tmp_path / "store")) == 1
