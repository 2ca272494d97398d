"""Other engines read what `lakectl` reads, at every version, and cannot write.

Needs the packages of requirements.txt and the program in LAKECTL; `.ci/run` sees to both.
"""

import json
import os
import shutil
import tempfile
import unittest
from pathlib import Path

import deltalake
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from lake import Lake, normal

# The second run sees another market: almost every partition is replaced, this table's among them.
CHANGED = {"sources__demo__market__seed": "2"}
TABLE = "forecast.quantiles"


def setUpModule():
    global folder, lake, first, second, expected
    folder = tempfile.TemporaryDirectory()
    lake = Lake(Path(folder.name))
    first = lake.run()
    second = lake.run(**CHANGED)
    expected = {version: lake.all_rows(version) for version in (first, second)}


def tearDownModule():
    folder.cleanup()


def delta(path: str, version: int | None = None) -> pa.Table:
    return normal(deltalake.DeltaTable(path, version=version).to_pyarrow_table())


def polars(path: str, version: int | None = None) -> pa.Table:
    return normal(pl.scan_delta(path, version=version).collect().to_arrow())


def duck(script: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(script)
    return connection


def view(connection: duckdb.DuckDBPyConnection, table: str) -> pa.Table:
    schema, name = table.split(".")
    return normal(connection.sql(f'SELECT * FROM "{schema}"."{name}"').to_arrow_table())


class Case(unittest.TestCase):
    def assert_rows(self, found: pa.Table, wanted: pa.Table):
        self.assertEqual(found.schema, wanted.schema)
        self.assertEqual(found.num_rows, wanted.num_rows)
        self.assertTrue(found.equals(wanted))

    def delta_version(self, table: str, version: int) -> int:
        """The newest Delta version of a table that is not after a version of the lake."""
        [found] = lake.json("project", table)["tables"]
        known = [v for v in found["versions"] if v["lake_version"] <= version]
        return known[-1]["delta_version"]


class Versions(Case):
    def test_the_two_versions_differ(self):
        """The other tests would prove nothing of replaced partitions otherwise."""
        self.assertEqual((first, second), (1, 2))
        self.assertFalse(expected[first][TABLE].equals(expected[second][TABLE]))
        names = [name for name, rows in expected[second].items() if rows.num_rows > 0]
        self.assertGreater(len(names), 40)
        self.assertLess(len(names), len(expected[second]), "an empty table is among them")
        history = deltalake.DeltaTable(lake.path(TABLE)).history()
        self.assertEqual([entry["lakeVersion"] for entry in history], [2, 1])
        actions = Path(lake.path(TABLE), "_delta_log", f"{1:020}.json").read_text().splitlines()
        kinds = [next(iter(json.loads(line))) for line in actions]
        self.assertEqual(kinds.count("remove"), kinds.count("add"))
        self.assertGreater(kinds.count("add"), 0)

    def test_newest(self):
        for table, rows in expected[second].items():
            with self.subTest(table=table):
                self.assert_rows(delta(lake.path(table)), rows)
                self.assert_rows(polars(lake.path(table)), rows)
                self.assertEqual(len(deltalake.DeltaTable(lake.path(table)).to_pandas()), rows.num_rows)

    def test_past(self):
        for table, rows in expected[first].items():
            with self.subTest(table=table):
                number = self.delta_version(table, first)
                self.assert_rows(delta(lake.path(table), number), rows)
                self.assert_rows(polars(lake.path(table), number), rows)

    def test_which_version_of_the_lake(self):
        for number, version in ((0, first), (1, second)):
            table = deltalake.DeltaTable(lake.path(TABLE), version=number)
            self.assertEqual(table.transaction_version("lakectl"), version)

    def test_filters_leave_nothing_out(self):
        """Readers skip files by the statistics in the log: by the asset, by the time, at both ends of a file."""
        rows = expected[second]["options.slices"]
        path = lake.path("options.slices")
        times = sorted(set(rows["event_time"].to_pylist()))
        self.assertGreater(len(times), 5)
        for time in (times[0], times[len(times) // 2], times[-1]):
            wanted = rows.filter(pc.field("event_time") == pa.scalar(time, pa.timestamp("us", "UTC")))
            self.assertGreater(wanted.num_rows, 0)
            self.assert_rows(normal(pl.scan_delta(path).filter(pl.col("event_time") == time).collect().to_arrow()), wanted)
            found = deltalake.DeltaTable(path).to_pyarrow_table(filters=[("event_time", "=", time)])
            self.assert_rows(normal(found), wanted)
        wanted = rows.filter(pc.field("asset") == "ETH")
        self.assert_rows(normal(pl.scan_delta(path).filter(pl.col("asset") == "ETH").collect().to_arrow()), wanted)
        found = deltalake.DeltaTable(path).to_pyarrow_table(filters=[("asset", "=", "ETH")])
        self.assert_rows(normal(found), wanted)
        nothing = pl.scan_delta(path).filter(pl.col("asset") == "DOGE").collect()
        self.assertEqual(nothing.height, 0)


class Logs(Case):
    def test_a_log_made_anew_is_the_same(self):
        def files():
            found = sorted(lake.root.glob("data/*/*/_delta_log/*"))
            return {str(file): file.read_bytes() for file in found}

        before = files()
        self.assertGreater(len(before), 60)
        for log in lake.root.glob("data/*/*/_delta_log"):
            shutil.rmtree(log)
        self.assertTrue(lake.json("project", "--rebuild")["rebuilt"])
        self.assertEqual(files(), before)

    def test_a_checkpoint_is_enough(self):
        """A lake of its own, with more versions than a checkpoint waits for; the log before the checkpoint is lost."""
        with tempfile.TemporaryDirectory() as place:
            other = Lake(Path(place))
            shutil.copytree(lake.root, other.root)
            for number in range(11):
                version = other.run(**CHANGED, params__training_rows_min=("3", "30")[number % 2])
            path = other.path(TABLE)
            log = Path(path, "_delta_log")
            pointer = json.loads((log / "_last_checkpoint").read_text())
            self.assertEqual(pointer["version"], 9)
            rows = {at: other.rows(TABLE, at) for at in (10, version)}
            self.assertFalse(rows[10].equals(rows[version]))
            for number in range(9):
                os.remove(log / f"{number:020}.json")
            for read in (delta, polars):
                self.assert_rows(read(path, 9), rows[10])
                self.assert_rows(read(path), rows[version])
            self.assertEqual(deltalake.DeltaTable(path).transaction_version("lakectl"), version)


class Writers(Case):
    def test_nobody_else_writes(self):
        path = lake.path(TABLE)
        row = delta(path).slice(0, 1)
        before = {file: file.read_bytes() for file in Path(path).rglob("*") if file.is_file()}

        def table():
            return deltalake.DeltaTable(path)

        attempts = {
            "append": lambda: deltalake.write_deltalake(path, row, mode="append"),
            "overwrite": lambda: deltalake.write_deltalake(path, row, mode="overwrite"),
            "delete": lambda: table().delete("asset = 'BTC'"),
            "update": lambda: table().update({"asset": "'X'"}),
            "optimize": lambda: table().optimize.compact(),
            "vacuum": lambda: table().vacuum(0, dry_run=False, enforce_retention_duration=False),
            "restore": lambda: table().restore(0),
            "properties": lambda: table().alter.set_table_properties({"delta.appendOnly": "true"}),
            "polars": lambda: pl.from_arrow(row).write_delta(path, mode="append"),
        }
        for name, attempt in attempts.items():
            with self.subTest(name), self.assertRaisesRegex(Exception, "lakectl"):
                attempt()
        for file, content in before.items():
            self.assertEqual(file.read_bytes(), content, file)
        self.assert_rows(delta(path), expected[second][TABLE])
        # An append writes its rows before it is refused: no reader sees them, they are in no log.
        self.assert_rows(lake.rows(TABLE, second), expected[second][TABLE])


    def test_housekeeping_keeps_old_versions(self):
        """Readers may write checkpoints and take away what is older than the retention: that asks for no feature."""
        with tempfile.TemporaryDirectory() as place:
            path = shutil.copytree(lake.path(TABLE), Path(place, "table"))
            deltalake.DeltaTable(path).create_checkpoint()
            for file in Path(path, "_delta_log").iterdir():
                os.utime(file, (0, 0))
            deltalake.DeltaTable(path).cleanup_metadata()
            self.assert_rows(delta(str(path), 0), expected[first][TABLE])


class Views(Case):
    def test_duckdb(self):
        for version in (first, second):
            file = lake.folder / f"views-{version}.sql"
            lake.call("views", "--at", str(version), "--output", str(file))
            connection = duck(file.read_text())
            self.assertEqual(connection.sql("SELECT lake_version()").fetchall(), [(version,)])
            for table, rows in expected[version].items():
                with self.subTest(table=table, version=version):
                    self.assert_rows(view(connection, table), rows)

    def test_relative(self):
        script = lake.call("views", "--relative")
        here = os.getcwd()
        try:
            os.chdir(lake.root)
            self.assert_rows(view(duck(script), TABLE), expected[second][TABLE])
        finally:
            os.chdir(here)


if __name__ == "__main__":
    unittest.main()
