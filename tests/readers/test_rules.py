"""Rules of preference by name and from files."""

import json
import re

import pytest

from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.readers import rules
from mlygeo.schemas import PREFERRED_BY
from mlygeo.spatial.scores import RULES, Rule

TOML = "[weights]\ndistance = 3\nage = 1\n[scales]\nage_years = 2.5\n"


def test_a_rule_of_a_name_and_of_files(tmp_path):
    assert rules.rule_of("newest") is RULES["newest"]
    expected = Rule({"distance": 3, "age": 1}, age_years=2.5)
    (tmp_path / "rule.toml").write_text(TOML)
    (tmp_path / "rule.json").write_text("\ufeff" + json.dumps(expected.as_json()), encoding="utf-8")
    assert rules.rule_of(tmp_path / "rule.toml") == expected
    assert rules.rule_of(str(tmp_path / "rule.json")) == expected


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("rule.toml", "weights = {beauty = 1}", InputError, "rule.toml: there is no term 'beauty'"),
        ("rule.json", "[1, 2]", InputError, "rule.json: a rule has a table 'weights'"),
        ("rule.json", "{", FormatError, "neither JSON nor TOML"),
        ("rule.toml", "[", FormatError, "neither JSON nor TOML"),
        ("rule.json", "\udcff", FormatError, "neither JSON nor TOML"),
        ("rule.json", " " * 2_000_000, FormatError, "too long"),
        ("rule.json", '{"weights": {"age": 1, "age": 2}}', FormatError, "'age' stands in a table twice"),
        ("rule.json", '{"weights": {"age": 1%s}}' % ("0" * 400), InputError, "'age' must be a number from 0 to 1e"),
        ("rule.json", '{"weights": {"age": 1e308, "distance": 1e308}}', InputError, "must be a number from 0 to 1e"),
        ("rule.json", '{"weights": {"age": 1}, "scales": {"age_years": 1e200}}', InputError, "positive number up to"),
        ("other.json", None, FileError, "other.json does not exist"),
        ("nearby", None, InputError, "nearby' is neither a rule"),
    ],
)
def test_a_file_that_is_no_rule_is_refused(tmp_path, name, content, error, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(error, match=message):
        rules.rule_of(path)


@pytest.mark.parametrize("term", PREFERRED_BY)
def test_a_term_in_place_of_a_rule_gets_a_rule_that_has_it(tmp_path, term):
    with pytest.raises(InputError, match=f"'{term}' is a term of a rule") as caught:
        rules.rule_of(term)
    example = re.search(r"\{.*\}", str(caught.value.hint))
    assert example is not None
    (tmp_path / "rule.json").write_text(example[0])
    assert rules.rule_of(tmp_path / "rule.json").weights[term] > 0
