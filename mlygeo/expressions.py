"""
Conditions on any columns as text, such as "blur >= 100 and sun_altitude > 0": parsed, and asked of columns.

The grammar, of which nothing is ever evaluated as code:

    condition  = part { "or" part }
    part       = factor { "and" factor }
    factor     = { "not" } ( "(" condition ")" | test )
    test       = column
               | column "is" [ "not" ] "null"
               | column [ "not" ] "in" "(" value { "," value } ")"
               | operand ( "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=" ) operand
    operand    = column | value
    value      = number | 'text' | "text" | true | false
    column     = name | "[" any name "]"

Words are the same in upper and lower case, names of columns are not. A quote in a text is written twice. As in SQL, a
comparison with an unknown value is unknown, and "and", "or" and "not" follow Kleene's logic.
"""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from mlygeo import periods
from mlygeo.errors import FrameError, InputError
from mlygeo.schemas import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pandas as pd
    import pyarrow as pa

    from mlygeo.arrays import Flags

    Columns: TypeAlias = Mapping[str, pd.Series]
    Node: TypeAlias = "Test | Not | Several"

Value: TypeAlias = "int | float | str | bool"

OPTION = "where"
"""The parameter, for errors."""

DEEPEST = 50
"""Most parentheses inside each other."""

OPERATORS = {"=": "equal", "==": "equal", "!=": "not_equal", "<>": "not_equal", "<": "less", "<=": "less_equal",
             ">": "greater", ">=": "greater_equal"}  # fmt: skip
"""Comparisons, and their functions in Arrow."""

MIRRORED = {"less": "greater", "less_equal": "greater_equal", "greater": "less", "greater_equal": "less_equal"}

EXAMPLE = "blur >= 100 and (sun_altitude > 0 or is_pano)"

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
      | '(?P<single>(?:[^']|'')*)' | "(?P<double>(?:[^"]|"")*)"
      | \[(?P<name>[^\]]+)\]
      | (?P<operator><=|>=|<>|!=|==|=|<|>)
      | (?P<mark>[(),])
      | (?P<word>[^\W\d][\w.:]*)
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)

_WORDS = frozenset({"and", "or", "not", "in", "is", "null", "true", "false"})


@dataclass(frozen=True)
class Column:
    """A column by its name."""

    name: str


@dataclass(frozen=True)
class Test:
    """
    A test of values.

    Parameters
    ----------
    kind
        A function of Arrow that compares, or "in", "null" or "true".
    left
        A column or a value.
    right
        What is compared with: a column, a value, or several.
    """

    kind: str
    left: Column | Value
    right: Column | Value | tuple[Value, ...] | None = None


@dataclass(frozen=True)
class Not:
    """What is true where another condition is not."""

    of: Node


@dataclass(frozen=True)
class Several:
    """Conditions of which all are to be true ("and_kleene"), or one ("or_kleene")."""

    kind: str
    of: tuple[Node, ...]


@dataclass(frozen=True)
class Condition:
    """
    A condition that was understood.

    Parameters
    ----------
    text
        As it was given, with one blank for each white space outside of quotes and brackets.
    node
        What it says.
    columns
        The columns that it looks at, each once, in the order of the text.
    """

    text: str
    node: Node
    columns: tuple[str, ...]

    def answer(self, columns: Columns) -> tuple[Flags, Flags]:
        """
        Return which rows meet the condition, and of which this is unknown.

        Parameters
        ----------
        columns
            The columns by name.

        Raises
        ------
        FrameError
            If a value does not suit the column that it is compared with.
        """
        import numpy as np

        held = _Held(columns)
        found = _asked(self.node, held)
        unknown = np.asarray(found.is_null().to_numpy(zero_copy_only=False), dtype=bool)
        met = np.asarray(found.fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)
        return met, unknown


@functools.lru_cache(maxsize=64)
def parse(text: str) -> Condition:
    """
    Return the condition that a text says.

    Parameters
    ----------
    text
        The text, in the grammar above.

    Raises
    ------
    InputError
        If it is not in the grammar.
    """
    parser = _Parser(text)
    node = parser.condition()
    if parser.kind != "end":
        raise parser.refused("expected 'and', 'or' or the end")
    return Condition(_in_one_line(text), node, tuple(dict.fromkeys(_names(node))))


def _in_one_line(text: str) -> str:
    """Return a text with one blank for each white space, but in quotes and brackets, where it is part of a name."""
    return _SPACE.sub(lambda found: found[1] or " ", text).strip()


_SPACE = re.compile(r"""(\[[^\]]+\]|'(?:[^']|'')*'|"(?:[^"]|"")*")|\s+""")


class _Parser:
    """A text, read from the left to the right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = self._next = 0
        self._depth = 0
        self.kind, self.value = "", ""
        self._step()

    def condition(self) -> Node:
        return self._joined("or", self._part)

    def _part(self) -> Node:
        return self._joined("and", self._factor)

    def _joined(self, word: str, read: Callable[[], Node]) -> Node:
        parts = [read()]
        while self._takes(word):
            parts.append(read())
        return parts[0] if len(parts) == 1 else Several(f"{word}_kleene", tuple(parts))

    def _factor(self) -> Node:
        negated = False
        while self._takes("not"):
            negated = not negated
        if self._takes("("):
            self._depth += 1
            if self._depth > DEEPEST:
                raise self.refused(f"more than {DEEPEST} parentheses inside each other")
            node = self.condition()
            self._needs(")")
            self._depth -= 1
        else:
            node = self._test()
        return Not(node) if negated else node

    def _test(self) -> Node:
        left = self._operand()
        if self.kind == "operator":
            kind = OPERATORS[self.value]
            self._step()
            right = self._operand()
            if not isinstance(left, Column):
                if not isinstance(right, Column):
                    raise self.refused("two values are compared, and no column")
                left, right, kind = right, left, MIRRORED.get(kind, kind)
            return Test(kind, left, right)
        if not isinstance(left, Column):
            raise self.refused("expected a comparison, such as >=")
        if self._takes("is"):
            negated = self._takes("not")
            self._needs("null")
            return Not(Test("null", left)) if negated else Test("null", left)
        negated = self._takes("not")
        if negated or self._is("in"):
            self._needs("in")
            values = self._values()
            return Not(Test("in", left, values)) if negated else Test("in", left, values)
        return Test("true", left)

    def _values(self) -> tuple[Value, ...]:
        self._needs("(")
        values = [self._value()]
        while self._takes(","):
            values.append(self._value())
        self._needs(")")
        return tuple(values)

    def _value(self) -> Value:
        found = self._operand()
        if isinstance(found, Column):
            raise self.refused("'in' takes numbers and texts; put text in quotes")
        return found

    def _operand(self) -> Column | Value:
        kind, value = self.kind, self.value
        lower = value.lower()
        if kind in {"single", "double", "number", "name"} or (kind == "word" and lower not in _WORDS):
            self._step()
            return Column(value) if kind in {"name", "word"} else _number(value) if kind == "number" else value
        if kind == "word" and lower in {"true", "false"}:
            self._step()
            return lower == "true"
        raise self.refused("expected a column or a value")

    def _is(self, word: str) -> bool:
        return self.kind in {"word", "mark"} and self.value.lower() == word

    def _takes(self, word: str) -> bool:
        found = self._is(word)
        if found:
            self._step()
        return found

    def _needs(self, word: str) -> None:
        if not self._takes(word):
            raise self.refused(f"expected '{word}'")

    def _step(self) -> None:
        """Go on to the next token."""
        self._place = self._next
        found = _TOKEN.match(self._text, self._next)
        if found is None:
            self._place = len(self._text) - len(self._text[self._next :].lstrip())
            raise self.refused("what stands here is neither a name, a number, text in quotes nor a comparison")
        self.kind = str(found.lastgroup)
        self.value = found[self.kind]
        if self.kind in {"single", "double"}:
            quote = "'" if self.kind == "single" else '"'
            self.value = self.value.replace(quote * 2, quote)
        self._next = found.end()

    def refused(self, why: str) -> InputError:
        """Return the error for what stands at this place."""
        rest = " ".join(self._text[self._place :].split())
        at = f" at {rest[:30]!r}" if rest else " at its end"
        return InputError(f"`{OPTION}` cannot be understood{at}: {why}", hint=f'write it as "{EXAMPLE}"')


def _number(text: str) -> int | float:
    """Return a number; whole ones of any length that Python reads stay whole."""
    if re.fullmatch(r"[+-]?\d{1,300}", text):
        return int(text)
    found = float(text)
    if not math.isfinite(found):
        raise InputError(f"`{OPTION}`: the number {text[:30]} is too large")
    return found


def _names(node: Node) -> Iterator[str]:
    if isinstance(node, Not):
        yield from _names(node.of)
    elif isinstance(node, Several):
        for part in node.of:
            yield from _names(part)
    else:
        yield from (side.name for side in (node.left, node.right) if isinstance(side, Column))


# Answers.


class _Held:
    """Columns by name, each brought into Arrow once, when a value of it is asked for."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._found: dict[str, pa.Array] = {}

    def __getitem__(self, name: str) -> pa.Array:
        if name not in self._found:
            self._found[name] = _arrow(self._columns[name], name)
        return self._found[name]

    def is_null(self, name: str) -> pa.Array:
        """Return which values of a column are unknown: of any column, also of those that do not compare."""
        import pandas as pd
        import pyarrow as pa

        values = self._columns[name]
        if str(values.dtype) == "geometry":  # a dataset has places, and no such column
            raise _unsuited(name, "is the geometry")
        if pd.api.types.is_float_dtype(values.dtype):
            return self[name].is_null()
        return pa.array(values.isna().to_numpy(dtype=bool))


def _arrow(values: pd.Series, name: str) -> pa.Array:
    """Return a column as Arrow has it: numbers, texts, truth values or times in microseconds; gaps are nulls."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        found: Any = pa.array(values, from_pandas=True)
        if isinstance(found, pa.ChunkedArray):
            found = found.combine_chunks()
        if pa.types.is_dictionary(found.type):
            found = found.cast(found.type.value_type)
        kind = found.type
        if pa.types.is_floating(kind):
            # Columns with a mask may hold NaN beside it, such as that of 0 / 0.
            found = found.cast(pa.float64())
            return pc.if_else(pc.is_nan(found), pa.scalar(None, pa.float64()), found)
        if pa.types.is_string(kind) or pa.types.is_string_view(kind):
            return found.cast(pa.large_string())
        if pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.tz is not None):
            return found.cast(pa.timestamp("us"), safe=False).cast(pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise _unsuited(name, "is of several kinds of values") from error
    plain = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_large_string, pa.types.is_null)
    if not any(is_kind(kind) for is_kind in plain):
        raise _unsuited(name, f"is {kind}")
    return found


def _unsuited(name: str, why: str) -> FrameError:
    return FrameError(
        f"`{OPTION}`: column {name[:60]!r} {why}, and cannot be compared",
        hint="columns of numbers, texts, truth values and times with a zone can",
    )


def _asked(node: Node, held: _Held) -> pa.Array:
    """Return the answer for each row: true, false, or null where it is unknown."""
    import pyarrow.compute as pc

    if isinstance(node, Not):
        return pc.invert(_asked(node.of, held))
    if isinstance(node, Several):
        join = getattr(pc, node.kind)
        return functools.reduce(join, (_asked(part, held) for part in node.of))
    left: Any = node.left
    name = left.name
    if node.kind == "null":
        return held.is_null(name)
    column = held[name]
    if node.kind == "true":
        return _compared("equal", column, True, name)
    if isinstance(node.right, tuple):
        return functools.reduce(pc.or_kleene, (_compared("equal", column, value, name) for value in node.right))
    if isinstance(node.right, Column):
        return _columns_compared(node.kind, column, held[node.right.name], (name, node.right.name))
    value: Any = node.right
    return _compared(node.kind, column, value, name)


def _kind(of: pa.DataType) -> str:
    """Return what values of a type of `_arrow` are to a user."""
    import pyarrow as pa

    if pa.types.is_boolean(of):
        return "true or false"
    if pa.types.is_integer(of) or pa.types.is_floating(of):
        return "numbers"
    return "times" if pa.types.is_timestamp(of) else "text"


def _columns_compared(kind: str, one: pa.Array, other: pa.Array, names: tuple[str, str]) -> pa.Array:
    """Return the comparison of two columns."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_null(one.type) or pa.types.is_null(other.type):
        return pa.nulls(len(one), pa.bool_())
    if _kind(one.type) != _kind(other.type):
        raise FrameError(
            f"`{OPTION}`: column {names[0][:60]!r} has {_kind(one.type)} and column {names[1][:60]!r} has "
            f"{_kind(other.type)}, and these do not compare"
        )
    if one.type != other.type:
        one, other = one.cast(pa.float64(), safe=False), other.cast(pa.float64(), safe=False)
    return getattr(pc, kind)(one, other)


def _compared(kind: str, column: pa.Array, value: Value, name: str) -> pa.Array:
    """Return the comparison of a column with a value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    of = column.type
    if pa.types.is_null(of):
        return pa.nulls(len(column), pa.bool_())
    has, is_text = _kind(of), isinstance(value, str)
    if name in KEYS and not isinstance(value, bool | float) and has in {"numbers", "text"}:
        # Ids are numbers in one form of frames, and text in the other.
        value = str(value) if has == "text" else int(value) if str(value).isdecimal() else value
        is_text = isinstance(value, str)
    suits = {
        "true or false": isinstance(value, bool) and kind in {"equal", "not_equal"},
        "numbers": not is_text and not isinstance(value, bool),
        "text": is_text,
        "times": is_text,
    }
    if not suits[has]:
        shown = repr(value)[:40] if is_text else str(value).lower()[:40]
        hint = {
            "times": "write it in quotes, such as '2024-06-30'",
            "text": f"write it in quotes, such as '{shown}'",
            "numbers": "write a number without quotes",
            "true or false": "compare it by = with true or false, or write its name alone",
        }[has]
        raise FrameError(f"`{OPTION}`: column {name[:60]!r} has {has}, and cannot be compared with {shown}", hint=hint)
    if has == "times":
        return _with_period(kind, column, str(value))
    if has == "numbers":
        return (_with_number if pa.types.is_integer(of) else _with_real)(kind, column, value)
    return getattr(pc, kind)(column, pa.scalar(value, of))


def _with_period(kind: str, times: pa.Array, text: str) -> pa.Array:
    """Return the comparison of times with a moment, or with a year, month, week or day, which is all of itself."""
    import pyarrow as pa
    import pyarrow.compute as pc

    period = periods.period(text, OPTION)
    start, end = (pa.scalar(each, times.type) for each in period)
    is_moment = period.start == period.end
    if kind in {"equal", "not_equal"}:
        last = pc.less_equal(times, end) if is_moment else pc.less(times, end)
        inside = pc.and_kleene(pc.greater_equal(times, start), last)
        return inside if kind == "equal" else pc.invert(inside)
    if kind in {"less", "greater_equal"}:
        return getattr(pc, kind)(times, start)
    if is_moment:
        return getattr(pc, kind)(times, end)
    return pc.less(times, end) if kind == "less_equal" else pc.greater_equal(times, end)


def _with_number(kind: str, column: pa.Array, value: Any) -> pa.Array:
    """Return the comparison of whole numbers with any number, exactly."""
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = math.floor(value)
    if whole != value:
        if kind in {"equal", "not_equal"}:
            return _constant(column, truth=kind == "not_equal")
        # Beyond a fraction are the whole numbers beyond its floor.
        kind = "less_equal" if kind in {"less", "less_equal"} else "greater"
    try:
        limit = pa.scalar(int(whole), column.type)
    except (pa.ArrowInvalid, OverflowError, TypeError):
        above = whole > 0
        truths = {"equal": False, "not_equal": True, "less": above, "less_equal": above}
        return _constant(column, truth=truths.get(kind, not above))
    return getattr(pc, kind)(column, limit)


def _with_real(kind: str, column: pa.Array, value: Any) -> pa.Array:
    """Return the comparison of numbers in double precision with any number, exactly."""
    import pyarrow as pa
    import pyarrow.compute as pc

    near = float(value)
    if near != value:  # a whole number between two that are next to each other in double precision
        if kind in {"equal", "not_equal"}:
            return _constant(column, truth=kind == "not_equal")
        is_below = near < value
        if kind in {"less", "less_equal"}:
            kind = "less_equal" if is_below else "less"
        else:
            kind = "greater" if is_below else "greater_equal"
    return getattr(pc, kind)(column, pa.scalar(near, pa.float64()))


def _constant(column: pa.Array, *, truth: bool) -> pa.Array:
    """Return one answer for all rows with a value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(column.is_valid(), truth, pa.scalar(None, pa.bool_()))
