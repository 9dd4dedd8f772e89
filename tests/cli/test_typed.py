"""An option that was typed and has no effect is an error, be it with its default; what nobody typed is none."""

import pytest
from helpers.command_line import run

BOX = ["--bbox", "9,48,9.1,48.1"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["select", "--points", "p.parquet", "--interval", "50"], "--interval has no effect with --points"),
        (["select", *BOX, "--images", "i.parquet", "--workers", "8"], "--workers has no effect with --images"),
        (["coverage", *BOX, "--images", "i.parquet", "--workers=8"], "--workers has no effect with --images"),
        (["download", *BOX, "--tiles-only", "--size", "1024"], "--size has no effect with --tiles-only"),
        (["cut", "p", "--keep-duplicates", "--duplicate-angle", "5"], "--duplicate-angle has no effect with"),
        (
            ["process", "p", "--file-types", "blackvue", "--max-speed", "400"],
            "--max-speed has no effect where no photo",
        ),
        (
            ["process-and-upload", "p", "--keep-duplicates", "--duplicate_distance", "0.1"],
            "--duplicate-distance has no effect",
        ),
        (["interpolate", "--data", "identical_timestamps", "p", "--delimiter", ","], "--delimiter has no effect"),
        (
            ["sample-video", "p", "--video-sample-distance", "3", "--video-sample-interval", "2"],
            "--video-sample-interval has no effect with --video-sample-distance",
        ),
        (
            ["mapillary_tools", "process", "p", "--filetypes", "blackvue", "--overwrite_EXIF_gps_tag"],
            "--overwrite-exif-gps-tag has no effect where no photo",
        ),
    ],
)
def test_a_default_that_was_typed_is_refused(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p").mkdir()
    status, out, err = run(capsys, *words)
    assert (status, out) == (2, "")
    assert said in err
    assert "hint: leave --" in err


@pytest.mark.parametrize(
    "words",
    [
        ["select", "--points", "nothing.parquet", "--images", "nothing.parquet"],
        ["select", "--streets", "nothing.gpkg", "--images", "nothing.parquet"],
        ["process", "p", "--file-types", "blackvue"],
        ["mapillary_tools", "process", "p", "--filetypes", "blackvue"],
        ["mapillary_tools", "video_process", "p", "--filetypes", "blackvue"],
        ["upload", "p", "--dry-run", "--summarize"],
    ],
)
def test_what_nobody_typed_is_of_use_or_not(words, tmp_path, monkeypatch, capsys):
    """Defaults, those of another program among them, and a project's configuration, which is for all verbs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "p").mkdir()
    (tmp_path / "token").write_text("MLY|1|2")
    (tmp_path / "mlygeo.toml").write_text('token_file = "token"\ntile_cache_dir = "cache"\nsrid = 25832\n')
    _, _, err = run(capsys, *words)
    assert "no effect" not in err
