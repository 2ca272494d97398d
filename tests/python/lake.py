"""A small demo lake, and what `lakectl` itself says is in it."""

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

LAKECTL = os.environ.get("LAKECTL", "target/release/lakectl")

# Ten simulated days: a run takes a few seconds.
SHORT = {
    "sources.demo.market.start": "2026-01-01",
    "sources.demo.market.end": "2026-01-10",
    "sources.demo.market.dense_from": "2026-01-10",
    "calendar.end": "2026-01-11",
    "coverage.options.start": "2026-01-01",
    "coverage.daily.start": "2026-01-01",
    "coverage.history.start": "2026-01-01",
    "coverage.forecast.start": "2026-01-08",
}


class Lake:
    """The program, pointed at one lake."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.root = folder / "lake"

    def call(self, *words: str, **settings: str) -> str:
        """Runs one command and returns what it prints; fails with what it says if it fails."""
        command = [LAKECTL, "--lake", str(self.root)]
        for key, value in (SHORT | settings).items():
            command += ["--set", f"{key.replace('__', '.')}={value}"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LAKE_")}
        done = subprocess.run(
            [*command, *words], capture_output=True, text=True, cwd=self.folder, env=environment
        )
        if done.returncode != 0:
            raise AssertionError(f"{words}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def json(self, *words: str, **settings: str):
        return json.loads(self.call(*words, "--format", "json", **settings))

    def run(self, *words: str, **settings: str) -> int:
        """Runs the pipeline and returns the version that came of it."""
        summary = self.json("run", *words, **settings)
        assert summary["warnings"] == [], summary["warnings"]
        return summary["version"]

    def path(self, table: str) -> str:
        return str(self.root / "data" / table.replace(".", "/"))

    def tables(self, version: int) -> list[str]:
        query = "SELECT schema || '.' || name AS table FROM system.tables ORDER BY 1"
        return [row["table"] for row in self.json("sql", query, "--at", str(version))]

    def rows(self, table: str, version: int) -> pa.Table:
        """The rows of a table as `lakectl sql` gives them."""
        file = self.folder / f"{table}-{version}.parquet"
        if not file.exists():
            query = f"SELECT * FROM {table}"
            self.call("sql", query, "--at", str(version), "--output", str(file))
        return normal(pq.read_table(file))

    def all_rows(self, version: int) -> dict[str, pa.Table]:
        """The rows of every table."""
        names = self.tables(version)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return dict(zip(names, pool.map(lambda name: self.rows(name, version), names)))


def normal(table: pa.Table) -> pa.Table:
    """Rows in one order and one spelling of each type: readers differ in both, and neither is part of a table."""
    plain = {
        "large_string": pa.string(),
        "string_view": pa.string(),
        "large_binary": pa.binary(),
        "binary_view": pa.binary(),
    }

    def kind(field: pa.Field) -> pa.DataType:
        if pa.types.is_timestamp(field.type):
            assert field.type.tz in ("UTC", "+00:00", "Z", "Etc/UTC"), field
            assert field.type.unit == "us", field
            return pa.timestamp("us", "UTC")
        return plain.get(str(field.type), field.type)

    schema = pa.schema([pa.field(field.name, kind(field)) for field in table.schema])
    table = pa.table([column.cast(field.type) for column, field in zip(table.columns, schema)], schema=schema)
    order = [(name, "ascending") for name in schema.names]
    return table.sort_by(order).combine_chunks()
