"""Runs the same queries on the same files with DuckDB: one request a line on standard input, one JSON answer a line."""

import datetime
import json
import sys
import time

import duckdb


def plain(value):
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")
    if isinstance(value, datetime.date):
        return value.isoformat()
    return value


def main():
    setup = json.loads(sys.stdin.readline())
    connection = duckdb.connect()
    connection.execute(f"SET threads = {setup['threads']}")
    connection.execute("SET TimeZone = 'UTC'")
    for schema in sorted({name.split(".")[0] for name in setup["tables"]}):
        connection.execute(f"CREATE SCHEMA {schema}")
    for name, files in setup["tables"].items():
        listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
        source = f"read_parquet([{listed}], hive_partitioning = false)"
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {source}")
    print(json.dumps({"version": duckdb.__version__}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        begun = time.perf_counter()
        rows = connection.execute(request["sql"]).to_arrow_table() if request["arrow"] else None
        seconds = time.perf_counter() - begun
        answer = {"seconds": seconds}
        if not request["arrow"]:
            rows = connection.execute(request["sql"]).fetchall()
            answer["rows"] = [[plain(value) for value in row] for row in rows]
        print(json.dumps(answer), flush=True)


main()
