"""What a profile costs: core-seconds and peak memory over a made-up shop, one JSON line a figure.

python bench/profile.py [lines]  (default 5,000,000; a customer has 40 on average)
"""

import json
import resource
import sys
import tempfile
import time
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include import profile
from include.snapshot.schema import SCHEMA

AS_OF = date(2026, 11, 1)
DAYS = 1000  # of history before AS_OF


def write_shop(folder: Path, lines: int, seed: int = 7) -> None:
    """Write a snapshot: skewed products, orders of 2.5 lines, 3 % returns, tickets, consent."""
    rng = np.random.default_rng(seed)
    customers, orders, products = lines // 40, int(lines / 2.5), 5000
    first = np.datetime64(datetime.combine(AS_OF, datetime.min.time())) - np.timedelta64(DAYS, "D")
    owner = rng.integers(1, customers + 1, orders)
    at = first + rng.integers(0, DAYS * 86_400, orders).astype("m8[s]").astype("m8[us]")
    order = np.sort(rng.integers(0, orders, lines))
    product = (products * rng.random(lines) ** 2).astype(int)
    ids = np.arange(1, customers + 1)
    tickets = rng.integers(0, orders, orders // 20)
    tables = {
        "customer": {
            "customer_id": ids, "source": "shop", "source_id": ids.astype(str), "country": "NO",
            "signup_on": first + rng.integers(0, 300, customers).astype("m8[D]"),
            "birth_year": rng.integers(1940, 2008, customers), "city": "Oslo",
        },
        "product": {
            "product_id": [f"shop:{i}" for i in range(products)],
            "category": [f"category {i % 20}" for i in range(products)],
        },
        "customer_order": {
            "order_id": _ids(np.arange(orders)), "customer_id": owner, "ordered_at": at,
            "channel": np.array(["web", "store", "app"])[rng.integers(0, 3, orders)],
        },
        "order_line": {
            "order_id": _ids(order), "customer_id": owner[order], "product_id": _ids(product),
            "is_product": True, "ordered_at": at[order],
            "quantity": np.where(rng.random(lines) < 0.03, -1, rng.integers(1, 5, lines)),
            "unit_price": 1 + product % 97,
        },
        "ticket": {
            "ticket_id": _ids(np.arange(len(tickets))), "customer_id": owner[tickets],
            "opened_at": at[tickets], "closed_at": at[tickets] + np.timedelta64(90, "h"),
        },
        "consent": {
            "customer_id": ids, "purpose": "marketing", "granted": rng.random(customers) < 0.7,
            "given_at": first,
        },
    }  # fmt: skip
    for entity, schema in SCHEMA.items():
        pq.write_table(_table(tables.get(entity, {}), schema), folder / f"{entity}.parquet")
    (folder / "manifest.json").write_text(json.dumps({"consent_mapped": True}))


def _ids(numbers: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise("shop", pa.array(numbers).cast(pa.string()), ":")


def _table(columns: dict[str, object], schema: pa.Schema) -> pa.Table:
    columns = dict(columns)
    for name in [name for name in columns if name.endswith("_at")]:
        moment = pd.Series(columns[name]) if np.ndim(columns[name]) else columns[name]
        stem = name.removesuffix("_at")
        columns[name] = moment
        if np.ndim(moment):
            columns[f"{stem}_on"], columns[f"{stem}_hour"] = moment, moment.dt.hour
        else:
            columns[f"{stem}_on"] = moment
    if "quantity" in columns:
        columns["amount"] = columns["quantity"] * columns["unit_price"]
    rows = max((len(value) for value in columns.values() if np.ndim(value)), default=0)
    return pa.table([_array(columns.get(field.name), field, rows) for field in schema], schema)


def _array(value: object, field: pa.Field, rows: int) -> pa.Array:
    if value is None:
        return pa.nulls(rows, field.type)
    if isinstance(value, pa.Array):
        return value
    if not np.ndim(value):
        scalar = value.item() if isinstance(value, np.generic) else value
        return pa.repeat(pa.scalar(scalar).cast(field.type), rows)
    array = pa.array(value)
    if pa.types.is_decimal(field.type):
        array = array.cast(pa.decimal128(30, 6))
    return array.cast(field.type, safe=False)


def main() -> None:
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_shop(folder, lines)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start, used = time.perf_counter(), time.process_time()
        made = profile.compute(folder, AS_OF)
        figures = {
            "core_s": (time.process_time() - used, "core-seconds"),
            "wall_s": (time.perf_counter() - start, "seconds"),
            "peak_rss": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MiB"),
            "peak_rss_before": (before / 1024, "MiB, making the shop"),
            "customers": (pq.read_metadata(made).num_rows, "rows"),
        }
        for figure, (value, unit) in figures.items():
            line = {"name": f"profile_{figure}", "value": round(value, 2), "unit": unit}
            print(json.dumps({**line, "lines": lines}))


if __name__ == "__main__":
    main()
