"""Scores: the published rule on a table worked by hand, and functions against the standard library's."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlygeo.errors import InputError
from mlygeo.spatial import scores
from mlygeo.spatial.scores import RULES, UNKNOWN_TIME, Rule, Scoring

YEAR_US = 31_557_600_000_000

NONE, NO_NUMBER, NO_FLAG = np.empty(0), np.empty(0, dtype=np.int64), np.empty(0, dtype=bool)

PUBLISHED = [
    # distance m, width px, age years, same sequence: terms by hand (exp(-d/10), w/16384, exp(-a/5)), and the score
    (0.0, 16_384, 0.0, True, (1.0, 1.0, 1.0, 1), 1.0),
    (10.0, 8_192, 0.0, False, (0.36787944, 0.5, 1.0, 0), 0.45 * 0.36787944 + 0.25 * 0.5 + 0.25),
    (25.0, 2_048, 3.0, True, (0.08208500, 0.125, 0.54881164, 1), 0.03693825 + 0.03125 + 0.13720291 + 0.05),
    (3.0, 8_192, 2.0, False, (0.74081822, 0.5, 0.67032005, 0), 0.33336820 + 0.125 + 0.16758001),
    (20.0, 2_048, 0.0, False, (0.13533528, 0.125, 1.0, 0), 0.06090088 + 0.03125 + 0.25),
    (5.0, 5_376, 8.0, False, (0.60653066, 0.328125, 0.20189652, 0), 0.27293880 + 0.08203125 + 0.05047413),
    (0.0, 32_768, 5.0, False, (1.0, 1.0, 0.36787944, 0), 0.45 + 0.25 + 0.09196986),
]


def test_the_published_rule_on_a_table_worked_by_hand():
    rule = RULES["project-sidewalk"]
    assert sum(rule.weights.values()) == 1.0
    distance, width, age, same, terms, expected = zip(*PUBLISHED, strict=True)
    as_of = 1_700_000_000_000_000
    captured = as_of - (np.array(age) * YEAR_US).astype(np.int64)
    resolution = rule.of_image("resolution", np.array(width, dtype=float), as_of)
    recency = rule.of_image("age", captured, as_of)
    own = rule.shares["resolution"] * resolution + rule.shares["age"] * recency
    rows = np.arange(len(PUBLISHED))
    scoring = Scoring(
        own, rule.shares["distance"], 0.0, rule.shares["same_sequence"], rule.distance_m, NONE, NONE, NO_FLAG,
        np.zeros(len(rows), dtype=np.int64), np.where(same, 0, 7),
    )  # fmt: skip
    found = scoring(rows, rows, np.array(distance) ** 2)
    assert found == pytest.approx(expected, abs=1e-7)
    assert resolution == pytest.approx([each[1] for each in terms], abs=1e-8)
    assert recency == pytest.approx([each[2] for each in terms], abs=1e-8)
    assert scores.decay(np.array(distance) / 10) == pytest.approx([each[0] for each in terms], abs=1e-8)
    # What its authors say of two images: 2 years old, 8192 pixels, 3 m away beats brand-new, 2048 pixels, 20 m away.
    assert found[3] > found[4]


@given(
    term=st.sampled_from(["resolution", "age", "quality_score", "panorama"]), seed=st.integers(0, 10**6),
    count=st.integers(0, 40),
)  # fmt: skip
def test_what_images_add_to_scores_is_the_same_compiled_in_any_parts(term, seed, count):
    rng = np.random.default_rng(seed)
    if term == "age":
        values = rng.integers(0, 20 * YEAR_US, count)
        gaps = rng.random(count) < 0.2
        values[gaps] = UNKNOWN_TIME
    else:
        values = rng.random(count) * (40_000 if term == "resolution" else 1)
        gaps = rng.random(count) < 0.2
        values[gaps] = np.nan
    rule = Rule({term: 1, "distance": 2})
    expected = 0.25 + rule.shares[term] * rule.of_image(term, values, 10 * YEAR_US)
    for compiled in (False, True):
        own = np.full(count, 0.25)
        cut = int(rng.integers(0, count + 1))
        parts = [values[:cut], values[cut:]]
        assert scores.add_term(own, rule, term, parts, 10 * YEAR_US, compiled=compiled) == gaps.sum()
        assert own.tobytes() == expected.tobytes()


def test_terms_of_what_is_unknown_are_zero_and_of_what_is_better_than_best_one():
    rule = Rule({"age": 1})
    for term in ("resolution", "quality_score"):
        assert rule.of_image(term, np.array([np.nan, -1.0, 0.0, 1e9]), None).tolist() == [0, 0, 0, 1]
    times = np.array([UNKNOWN_TIME, YEAR_US, 2 * YEAR_US], dtype=np.int64)
    assert rule.of_image("age", times, YEAR_US).tolist() == [0, 1, 1]
    assert rule.of_image("panorama", np.array([True, False]), None).tolist() == [1, 0]
    bearing, pano = np.array([90.0, 90, 90, np.nan, np.nan]), np.array([False, False, False, False, True])
    camera = np.array([90.0, 270 + 45, np.nan, 0, np.nan])
    assert scores.along_street(camera, bearing, pano).tolist() == [1, 0.5, 0, 0, 1]
    assert scores.is_wanted(np.array([-1, 3, 3]), np.array([-1, 3, 4])).tolist() == [0, 1, 0]


@given(st.lists(st.floats(0, 750) | st.floats(0, 1e-300) | st.floats(700, 1e308), min_size=1, max_size=50))
def test_the_exponential_function_is_right_to_two_units_and_the_same_compiled(values):
    found = scores.decay(np.array(values), compiled=False)
    with localcontext() as context:
        context.prec = 40
        for value, got in zip(values, found.tolist(), strict=True):
            exact = Decimal(-value).exp() if value < 800 else Decimal(0)
            assert abs(Decimal(got) - exact) <= 2 * Decimal(math.ulp(float(exact))) + Decimal("1e-320"), value
    assert scores.decay(np.array(values), compiled=True).tobytes() == found.tobytes()


@pytest.mark.parametrize("compiled", [False, True])
def test_the_exponential_function_of_nothing_known_is_unknown(compiled):
    found = scores.decay(np.array([np.nan, 0.0, np.inf]), compiled=compiled)
    assert np.isnan(found[0])
    assert found[1:].tolist() == [1.0, 0.0]


def test_weights_are_shares_of_their_sum():
    rule = Rule({"distance": 3, "age": 1, "heading": 0})
    assert dict(rule.shares) == {"distance": 0.75, "age": 0.25}
    assert rule.columns == ["captured_at"]
    assert Rule({"heading": 1}).columns == ["compass_angle", "is_pano"]
    assert Rule.of_json(rule.as_json()) == rule


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"weights": {"beauty": 1}}, "no term 'beauty'"),
        ({"weights": {"age": -1}}, "weight of 'age'"),
        ({"weights": {"age": True}}, "weight of 'age'"),
        ({"weights": {"age": "much"}}, "weight of 'age'"),
        ({"weights": {"age": math.nan}}, "weight of 'age'"),
        ({"weights": {"age": 0}}, "no term has a weight"),
        ({"weights": {}}, "no term has a weight"),
        ({"weights": {"age": 1}, "scales": {"age_years": 0}}, "scale `age_years`"),
        ({"weights": {"age": 1}, "scales": {"age_days": 9}}, "no scale 'age_days'"),
        ({"weights": {"age": 1}, "scale": {}}, "a rule has a table 'weights'"),
        ({"weights": 1}, "'weights' of a rule"),
        ([1], "a rule has a table 'weights'"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        Rule.of_json(given)
