"""Which extras are installed where tests run; in CI all of them have to be."""

from importlib.util import find_spec

import pytest

PACKAGES = {"video": "av", "osm": "osmium", "plot": "matplotlib", "postgis": "psycopg", "cells": "h3"}
"""The package that tells whether an extra is there."""


def has(extra):
    return find_spec(PACKAGES[extra]) is not None


def needs(extra):
    """Skip a test, or one of its parameters, where an extra is not installed."""
    return pytest.mark.skipif(not has(extra), reason=f"needs mlygeo[{extra}]")
