"""UUIDs as numbers."""

from __future__ import annotations

import uuid

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo import uuids

ANY = st.uuids() | st.integers(0, 3).flatmap(
    lambda high: st.integers(0, 3).map(lambda low: uuid.UUID(int=high << 64 | low))
)


def parts_of(texts, size):
    for start in range(0, len(texts), size):
        some = texts[start : start + size]
        letters = np.frombuffer("".join(some).encode(), dtype=np.uint8)
        yield np.cumsum([0, *map(len, map(str.encode, some))]), letters


@given(st.lists(ANY), st.lists(st.booleans()), st.integers(1, 4))
@settings(deadline=None)
def test_texts_become_numbers_and_come_back(ids, upper, size):
    given_ = [str(id_).upper() if up else str(id_) for id_, up in zip(ids, [*upper, *[False] * len(ids)], strict=False)]
    found = uuids.read(parts_of(given_, size), len(ids))
    assert [(high << 64) | low for high, low in zip(found.high.tolist(), found.low.tolist(), strict=True)] == [
        id_.int for id_ in ids
    ]
    assert found.texts().to_pylist() == [str(id_) for id_ in ids]
    ranks, _ = found.ranks()
    places = {id_: place for place, id_ in enumerate(sorted(set(ids)))}
    order = {rank: place for place, rank in enumerate(sorted(set(ranks.tolist())))}
    assert [order[rank] for rank in ranks.tolist()] == [places[id_] for id_ in ids]


@given(st.lists(ANY, min_size=1), st.data())
@settings(deadline=None)
def test_one_wrong_letter_is_none(ids, data):
    row, letter = data.draw(st.integers(0, len(ids) - 1)), data.draw(st.integers(0, 35))
    wrong = data.draw(st.characters(codec="ascii").filter(lambda it: it not in "0123456789abcdefABCDEF-"))
    texts = [str(id_) for id_ in ids]
    texts[row] = texts[row][:letter] + wrong + texts[row][letter + 1 :]
    assert uuids.read(parts_of(texts, 3), len(ids)) is None
    texts[row] = str(ids[row])[:letter] + ("0" if letter in {8, 13, 18, 23} else "-") + str(ids[row])[letter + 1 :]
    assert uuids.read(parts_of(texts, 3), len(ids)) is None
    assert uuids.read(parts_of([str(ids[row])[:-1]], 3), 1) is None
