"""Files with the number of points of each stratum: both forms, and what is neither."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlygeo.errors import FileError, FormatError, MlygeoError
from mlygeo.readers import allocations

WANTED = {"residential": 40, "footway;steps": 12, "Süd, West": 3}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", 'stratum,n\nresidential,40\nfootway;steps,12\n"Süd, West",3\n'),
        ("a.csv", '\ufeffnote,n,stratum\r\n"one\ntwo", 40 ,residential\r\n,12,footway;steps\r\n\r\n,3,"Süd, West"\r\n'),
        ("a.JSON", '{"residential": 40, "footway;steps": 12, "Süd, West": 3}'),
    ],
)
def test_both_forms_are_read(tmp_path, name, text):
    (tmp_path / name).write_bytes(text.encode())
    assert allocations.read(tmp_path / name) == WANTED


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"class,n\nx,1\n", "no columns 'stratum' and 'n'"),
        ("a.csv", b"", "no columns"),
        ("a.csv", b"stratum,n\n", "no stratum"),
        ("a.csv", b"stratum,n\nx\n", "too few columns"),
        ("a.csv", b"stratum,n\nx,1\nx,2\n", "'x' twice"),
        ("a.csv", b"stratum,n\nx,1.5\n", "no whole number"),
        ("a.csv", b"stratum,n\n\xff,1\n", "UTF-8"),
        ("a.csv", b'stratum,n\n"' + b"x" * 200_000 + b'",1\n', "not CSV"),
        ("a.json", b"[1, 2]", "not an object"),
        ("a.json", b'{"x": 1, "x": 2}', "'x' twice"),
        ("a.json", b'{"x": true}', "no whole number"),
        ("a.json", b"{", "not JSON"),
        ("a.json", b"[" * 100_000, "not JSON"),
    ],
)  # fmt: skip
def test_what_is_neither_is_refused(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FormatError, match=words):
        allocations.read(tmp_path / name)


def test_a_word_that_is_no_file_names_what_is_taken(tmp_path):
    with pytest.raises(FileError, match="proportionally does not exist") as caught:
        allocations.read(tmp_path / "proportionally")
    assert "proportional, equal" in caught.value.hint


@given(content=st.binary(max_size=60), ending=st.sampled_from([".csv", ".json"]))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content, ending):
    path = tmp_path_factory.getbasetemp() / f"any{ending}"
    path.write_bytes(content)
    try:
        found = allocations.read(path)
    except MlygeoError:
        return
    assert all(isinstance(number, int) for number in found.values())
