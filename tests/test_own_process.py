"""Arrow without pandas, until something loads pandas: whichever is loaded first, and by whom."""

import subprocess
import sys

import pytest

START = "from mlygeo.own_process import without_pandas; without_pandas(); "

KNOWN = (
    "print(pa.array(pd.Series([1, None, 3], dtype='Int64')).null_count, pa.table({'a': [1]}).to_pandas().a.tolist())"
)

ORDERS = {
    "Arrow, then pandas": "import pyarrow as pa; pa.array([1.0]); import pandas as pd; ",
    "pandas, then Arrow": "import pandas as pd; import pyarrow as pa; ",
    "GeoPandas": "import geopandas; import pandas as pd; import pyarrow as pa; ",
    "Arrow loads it": "import pyarrow as pa; pa.nulls(1).to_pandas(); import pandas as pd; ",
}


def run(text):
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("start", ["", START], ids=["all loaded as needed", "without pandas"])
def test_a_process_that_ends_while_it_loads_ahead_is_silent(start):
    text = f"{start}from mlygeo.pipelines import inputs; inputs.load_ahead(10**9)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_arrow_is_given_arrays_and_does_not_load_pandas():
    loaded = "import sys, pyarrow as pa, numpy as np; pa.array(np.arange(3)); print('pandas' in sys.modules)"
    assert run(START + loaded) == "False"
    assert run(loaded) == "True"


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_arrow_knows_pandas_once_it_is_loaded(order):
    assert run(START + order + KNOWN) == "1 [1]"


def test_a_process_that_has_loaded_arrow_stays_as_it_is():
    assert run("import sys, pyarrow; before = [*sys.meta_path]; " + START + "print(before == sys.meta_path)") == "True"


@pytest.mark.parametrize("given", ["images.parquet", "images"])
def test_a_selection_from_parquet_loads_neither_pandas_nor_numba(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make = """
import geopandas, numpy as np, mlygeo
place = geopandas.points_from_xy(5 + np.arange(30) / 1e4, np.full(30, 52.0))
images = geopandas.GeoDataFrame({"id": range(30), "captured_at": range(30)}, geometry=place, crs=4326)
images["captured_at"] = images["captured_at"].astype("datetime64[ms, UTC]")
mlygeo.write_frame(images, "images.parquet")
mlygeo.write_frame(geopandas.GeoDataFrame({"point_id": range(3)}, geometry=place[:3], crs=4326), "points.parquet")
mlygeo.partition("images.parquet", output="images")
"""
    run(make)
    select = f"""
import sys
from mlygeo.cli import main
sys.argv[1:] = ["select", "--images", {given!r}, "--points", "points.parquet", "-o", "out", "--srid", "28992"]
status = main()
print(status, [name for name in ("pandas", "geopandas", "numba", "shapely") if name in sys.modules])
"""
    assert run(select).splitlines()[-1] == "0 []"
