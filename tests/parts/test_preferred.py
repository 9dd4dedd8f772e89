"""A selection of preferred images over parts is that of one run, to the last bit."""

import pyarrow as pa
import pytest
from helpers.over_parts import PLACES, facts, frame_bytes, over_parts, weighed
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo.errors import FrameError
from mlygeo.frames import IMAGES
from mlygeo.parts import preferred
from mlygeo.schemas import PREFERRED_BY
from mlygeo.spatial.best import Preference
from mlygeo.spatial.scores import Rule
from mlygeo.store.points import Conformed, open_points

RULE = """
[weights]
distance = 0.4
heading = 0.2
resolution = 0.1
age = 0.2
quality_score = 0.05
panorama = 0.05

[scales]
distance_m = 300
"""


@given(
    seed=st.integers(0, 10**6), most=st.sampled_from([5, 40, 10**6]), task=st.sampled_from([1, 50, 10**6]),
    text=st.booleans(), place=st.sampled_from(PLACES), prefer=st.sampled_from([None, "newest", "rule.toml"]),
    options=st.fixed_dictionaries(
        {"max_distance": st.sampled_from([30.0, 500.0, 1500.0]), "k": st.sampled_from([1, 3])},
        optional={
            "max_along": st.sampled_from([100.0, 900.0]), "max_across": st.sampled_from([100.0, 900.0]),
            "per": st.sampled_from(["year", "month", "sequence", "creator"]),
            "max_heading_difference": st.just(40.0), "since": st.just("2019"),
        },
    ),
)  # fmt: skip
@settings(deadline=None, max_examples=20, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_any_cut_gives_the_preferred_images_of_one_run(
    tmp_path_factory, seed, most, task, text, place, prefer, options
):
    around, options["srid"] = place
    if prefer == "rule.toml":
        prefer = tmp_path_factory.getbasetemp() / "rule.toml"
        prefer.write_text(RULE)
    if prefer is not None:
        options["prefer"] = prefer
    points, images = weighed(seed, text=text, around=around)
    whole = mlygeo.select(points=points, images=images.sample(frac=1, random_state=seed), **options)
    parts = over_parts(points, images, most=most, task=task, **options)
    assert frame_bytes(parts) == frame_bytes(whole)
    assert facts(parts.attrs["summary"]) == facts(whole.attrs["summary"])


def test_a_column_that_a_rule_needs_is_named_where_it_is_missing():
    points, images = weighed(1, text=False, around=(9.0, 48.75))
    with pytest.raises(FrameError, match="no column 'captured_at'"):
        over_parts(points, images.drop(columns="captured_at"), prefer="newest", srid=25832)
    with pytest.raises(FrameError, match="no column 'bearing'"):
        over_parts(points.drop(columns="bearing"), images, max_along=9.0, srid=25832)


@pytest.mark.parametrize(
    "written", [{}, {"write_statistics": False}, {"use_dictionary": False}, {"row_group_size": 7}], ids=str
)
def test_what_a_file_says_of_its_columns_is_what_its_rows_say(tmp_path, written):
    _, images = weighed(3, text=False, around=PLACES[0][0])
    images.to_parquet(tmp_path / "images.parquet", **written)
    file, frame = (
        Conformed(open_points(each, name="images"), IMAGES) for each in (tmp_path / "images.parquet", images)
    )
    assert preferred.newest(file) == preferred.newest(frame)
    rule = Rule(dict.fromkeys(PREFERRED_BY, 1.0))
    for as_of_us in (preferred.newest(frame), preferred.newest(frame) - 1, 0):
        counts = [preferred.unknown(each, Preference(rule, as_of_us)) for each in (file, frame)]
        assert counts[0] == counts[1]
        assert sum("after `as_of`" in reason for reason in counts[0]) == (as_of_us != preferred.newest(frame))
        assert (
            counts[0]["images without 'sequence_id', whose term same_sequence is 0"] == images.sequence_id.isna().sum()
        )
    numbers = preferred.sequences(file)
    assert (numbers >= 0).tolist() == images.sequence_id.notna().tolist()
    pairs = set(zip(numbers.tolist(), images.sequence_id.fillna("none").tolist(), strict=True))
    assert len(pairs) == len(set(numbers.tolist())) == images.sequence_id.nunique() + 1


def test_a_text_that_a_file_has_twice_in_its_dictionary_is_one_sequence():
    """As another program may write it; and a part without any."""
    parts = [["a", "b", None, "c"], [None] * 4, ["c", "a", "d", "b"]]
    table = pa.table({"sequence_id": pa.array([text for part in parts for text in part])})
    twice = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None], pa.int8()), pa.array(["c", "a", "c"]))

    class Points:
        columns = ("sequence_id",)

        def parts(self, name):
            yield from [*table[name].chunks, twice, pa.nulls(2, pa.string_view())]

    assert preferred.sequences(Points()).tolist() == [0, 1, -1, 2, -1, -1, -1, -1, 2, 0, 3, 1, 2, 0, 2, -1, -1, -1]
