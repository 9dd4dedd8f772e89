"""What a caller gives to a public function, and which of it has no effect."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import STUTTGART

import mlygeo
from mlygeo.errors import FrameError, InputError
from mlygeo.pipelines.arguments import given_by_user, of_no_use, received
from mlygeo.pipelines.options import TileOptions


@received
def fetched(images=None, *, computed=False, workers=4, max_age=None):
    if images is not None:
        of_no_use(TileOptions, "with `images`")
    return images, computed, workers, max_age


@received
def around(images=None, *, computed=False, max_age=None):
    """Calls another public function for its user, with all its options."""
    return fetched(images, computed=computed, workers=8, max_age=max_age)


class TestOfNoUse:
    def test_what_was_given_is_refused(self):
        with pytest.raises(InputError, match=r"^`computed` has no effect with `images`$"):
            fetched("images.parquet", computed=True)
        with pytest.raises(InputError, match=r"^`computed` and `max_age` have no effect with `images`$"):
            fetched("images.parquet", computed=True, max_age=3)

    @pytest.mark.parametrize(
        ("given", "names"),
        [
            ({"workers": 4}, "`workers` has"),
            ({"workers": 4.0}, "`workers` has"),
            ({"workers": "4"}, "`workers` has"),
            ({"computed": False}, "`computed` has"),
            ({"workers": 4, "computed": False}, "`computed` and `workers` have"),
        ],
    )
    def test_so_is_a_default_that_was_given(self, given, names):
        with pytest.raises(InputError, match=f"^{names} no effect with `images`$"):
            fetched("images.parquet", **given)

    def test_what_was_not_given_passes(self):
        assert fetched("images.parquet") == ("images.parquet", False, 4, None)
        assert fetched("images.parquet", max_age=None)[3] is None

    def test_each_call_has_its_own(self):
        fetched(computed=True)
        assert fetched("images.parquet")[1] is False
        with pytest.raises(InputError):
            fetched("images.parquet", computed=True)
        assert fetched("images.parquet")[1] is False

    def test_each_thread_has_its_own(self):
        with ThreadPoolExecutor(2) as pool:
            assert {each[1] for each in pool.map(lambda _: fetched(computed=True), range(20))} == {True}
            assert {each[0] for each in pool.map(fetched, ["a"] * 20)} == {"a"}

    def test_what_one_function_passes_on_to_another_was_given_where_its_user_gave_it(self):
        assert around("images.parquet")[2] == 8
        with pytest.raises(InputError, match=r"^`computed` has no effect"):
            around("images.parquet", computed=False)

    def test_a_verb_passes_all_its_options_and_says_which_were_typed(self):
        with given_by_user({"images"}):
            assert fetched("images.parquet", computed=False, workers=4, max_age=3)[3] == 3
        with given_by_user({"images", "workers"}), pytest.raises(InputError, match=r"^`workers` has no effect"):
            fetched("images.parquet", computed=False, workers=4, max_age=None)
        with pytest.raises(InputError, match=r"^`computed` and `workers` have"):
            fetched("images.parquet", computed=False, workers=4, max_age=None)


def test_an_error_on_one_frame_does_not_name_the_file_of_another(images):
    with pytest.raises(FrameError, match=r"^these images have no column 'blur'|^the images") as caught:
        mlygeo.select(streets=STUTTGART / "stuttgart_osm_edges.gpkg", images=images, where="blur > 3")
    assert "gpkg" not in str(caught.value)
