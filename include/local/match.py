"""The identity engine on files that nobody here made: ``make match FILES= CONFIG=``."""

import json
import os
import time
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from include import duck
from include.errors import InputError
from include.identity import fields, probable, records
from include.identity.cluster import Ints, Pairs
from include.identity.link import Links, partition, without_keys

COUNT = ("precision", "recall", "f1")


def match() -> None:
    """Match FILES by CONFIG and print one line of figures; OUT writes the clusters."""
    given = {name: os.environ.get(name) or None for name in ("FILES", "CONFIG", "TRUTH", "OUT")}
    if not given["FILES"] or not given["CONFIG"]:
        raise InputError(
            'match: give FILES="a.csv b.parquet" and CONFIG=fields.yaml; docs/identity.md has one'
        )
    truth, out = (Path(given[name] or "") if given[name] else None for name in ("TRUTH", "OUT"))
    files = [Path(name) for name in given["FILES"].split()]
    print(json.dumps(matched(files, Path(given["CONFIG"]), truth=truth, out=out)))


def matched(
    files: list[Path], config: Path, *, truth: Path | None = None, out: Path | None = None
) -> dict[str, Any]:
    """Match the records of some files as if they were landed.

    Parameters
    ----------
    files : CSV or Parquet, with the same columns as far as they have them.
    config : as include/identity/fields.yaml, and ``id``: the column that names a record.
    truth : CSV or Parquet of id and cluster, to judge the result by; it is not learnt from.
    out : Parquet of id and cluster.

    Returns
    -------
    records, clusters, pairs and core_s, with ``truth`` also precision, recall and f1 of the pairs
    that were linked and of the clusters they make (both are counted in pairs of records).
    """
    wanted = fields.load(config)
    start = time.process_time()
    with duck.opened("match") as (db, _):
        ids = _read(db, files, wanted.id)
        records.prepare(db, wanted, "raw")
        model = probable.train(db, wanted)
        if model is None:
            raise InputError(
                f"match: fewer than {probable.FEWEST_PAIRS} pairs agree on a rule of sure in "
                f"{config.name}: give more records, or a rule that more pairs keep"
            )
        db.execute("CREATE TABLE fresh AS SELECT n FROM record")
        found = probable.score(db, wanted, model, least=wanted.link)
        pairs = Pairs(*(found[name].to_numpy() for name in ("l", "r", "weight")))
        links = Links(probable=pairs, most=wanted.most)
        group = partition(without_keys(len(ids)), max_records_per_key=1, links=links).group
        said = None if truth is None else _truth(db, truth, ids)
    figures: dict[str, Any] = {
        "records": len(ids),
        "clusters": len(np.unique(group)),
        "pairs": len(pairs),
    }
    figures["core_s"] = round(time.process_time() - start, 2)
    if said is not None:
        figures |= _judged(pairs, group, said)
    if out is not None:
        pq.write_table(pa.table({"id": ids, "cluster": group}), out)
    return figures


def _read(db: duckdb.DuckDBPyConnection, files: list[Path], key: str) -> list[str]:
    """Make the table ``raw``, in the order of the ids; return these."""
    db.execute(f"CREATE TABLE given AS {' UNION ALL BY NAME '.join(map(_rows, files))}")
    columns = [row[0] for row in db.execute("DESCRIBE given").fetchall()]
    if key not in columns:
        raise InputError(f"match: id is {key}, the files have {', '.join(columns)}: fix CONFIG")
    name = records.quoted(key)
    db.execute(f"""CREATE TABLE raw AS
        SELECT row_number() OVER (ORDER BY {name}) - 1 AS n, * FROM given""")
    ids = [row[0] for row in db.execute(f"SELECT {name}::text FROM raw ORDER BY n").fetchall()]
    if len(set(ids)) < len(ids) or None in ids:
        raise InputError(f"match: {key} is empty or the same for several records: give another id")
    return ids


def _rows(path: Path) -> str:
    if not path.exists():
        raise InputError(f"match: {path} is not there")
    reader = "read_parquet({})" if path.suffix == ".parquet" else "read_csv({}, all_varchar=true)"
    return f"FROM {reader.format(duck.quoted(path))}"


def _truth(db: duckdb.DuckDBPyConnection, path: Path, ids: list[str]) -> Ints:
    rows = db.execute(f"SELECT id::text, cluster::text FROM ({_rows(path)})").fetchall()
    cluster = dict(rows)
    if missing := sum(name not in cluster for name in ids):
        raise InputError(f"match: {path.name} does not say the cluster of {missing} records")
    place: Ints = pd.factorize(np.array([cluster[name] for name in ids], dtype=object))[0]
    return place


def _judged(pairs: Pairs, group: Ints, truth: Ints) -> dict[str, float]:
    true = _pair_count(pd.Series(truth))
    both = _pair_count(pd.Series(list(zip(group.tolist(), truth.tolist(), strict=True))))
    right = int((truth[pairs.l] == truth[pairs.r]).sum())
    return {
        **_figures("pair", right, len(pairs), true),
        **_figures("cluster", both, _pair_count(pd.Series(group)), true),
    }


def _pair_count(values: pd.Series) -> int:
    sizes = values.value_counts()
    return int((sizes * (sizes - 1) // 2).sum())


def _figures(of: str, right: int, found: int, true: int) -> dict[str, float]:
    values = (right / max(found, 1), right / max(true, 1), 2 * right / max(found + true, 1))
    return {f"{of}_{name}": round(value, 4) for name, value in zip(COUNT, values, strict=True)}
