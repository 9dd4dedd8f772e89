"""Several values of one street as text."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np


def join(value: Any) -> str | None:
    """
    Return an id, a name or a class as text; several are joined by ';', in ascending order.

    OSMnx has several as an unordered list, and writes them to files as the text of that list.
    """
    import pandas as pd

    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            return str(value)  # a name in brackets
    several = list(value) if isinstance(value, list | tuple | set | np.ndarray) else [value]
    return together({str(item) for item in several if not pd.isna(item)} - {""}) or None


def together(texts: set[str]) -> str:
    """Return texts joined by ';': numbers by their size, after others."""
    return ";".join(sorted(texts, key=lambda text: (len(text), text) if text.isdecimal() else (0, text)))
