"""What a caller gives to a public function, and which of it has no effect."""

import pytest

from mlygeo.errors import InputError
from mlygeo.pipelines.arguments import of_no_use, received
from mlygeo.pipelines.options import TileOptions


@received
def fetched(images=None, *, computed=False, workers=4, max_age=None):
    if images is not None:
        of_no_use(TileOptions, "beside `images`")
    return images, computed, workers, max_age


class TestOfNoUse:
    def test_what_differs_from_its_default_is_refused(self):
        with pytest.raises(InputError, match=r"^`computed` is of no use beside `images`$"):
            fetched("images.parquet", computed=True)
        with pytest.raises(InputError, match=r"^`computed` and `max_age` are of no use beside `images`$"):
            fetched("images.parquet", computed=True, max_age=3)

    @pytest.mark.parametrize("default", [{}, {"workers": 4}, {"workers": 4.0}, {"computed": False, "max_age": None}])
    def test_defaults_pass(self, default):
        assert fetched("images.parquet", **default)[0] == "images.parquet"

    def test_each_call_has_its_own(self):
        fetched(computed=True)
        assert fetched("images.parquet")[1] is False
