"""Whole snapshot folders from a few literal rows, for the tests of every later stage."""

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from include.snapshot.schema import SCHEMA

DEFAULTS: dict[str, dict[str, Any]] = {
    "customer": {"source": "shop"},
    "product": {"source": "shop", "currency": "EUR", "in_stock": True, "is_product": True},
    "customer_order": {"currency": "EUR"},
    "order_line": {"is_product": True, "line_no": 1, "quantity": 1, "unit_price": 1},
}


def write_snapshot(
    folder: Path,
    *,
    consent_mapped: bool | None = None,
    previous: Path | None = None,
    touched: Iterable[int] = (),
    **tables: Iterable[Mapping[str, Any]],
) -> Path:
    """Write a complete snapshot into ``folder`` and return it.

    ``tables`` are lists of dicts by entity; what is not given is empty. Left out columns are null
    but for: DEFAULTS; source_id (the customer_id); *_at, *_on and *_hour from each other; amount.
    Days and times may be ISO texts, money any number. ``consent_mapped``: default, if rows exist.
    ``touched``: the customers of whom something changed since the snapshot ``previous``.

    >>> write_snapshot(tmp_path, order_line=[
    ...     {"customer_id": 1, "order_id": "a", "product_id": "p", "ordered_on": "2026-02-01"}])
    """
    if unknown := set(tables) - set(SCHEMA):
        raise KeyError(f"no entity {sorted(unknown)}; known: {sorted(SCHEMA)}")
    folder.mkdir(parents=True, exist_ok=True)
    rows = {}
    for entity, schema in SCHEMA.items():
        complete = [_row(entity, given, schema) for given in tables.get(entity, ())]
        pq.write_table(pa.Table.from_pylist(complete, schema=schema), folder / f"{entity}.parquet")
        rows[entity] = len(complete)
    mapped = rows["consent"] > 0 if consent_mapped is None else consent_mapped
    manifest: dict[str, Any] = {
        "run_id": "test",
        "known_at": "2026-01-01T00:00:00+00:00",
        "known_from": {"shop": "2025-12-01T00:00:00+00:00"},
        "time_zone": "UTC",
    }
    manifest |= {"rows": rows, "consent_mapped": mapped, "previous": None}
    if previous is not None:
        customers = pa.table({"customer_id": pa.array(sorted(touched), pa.int64())})
        pq.write_table(customers, folder / "touched.parquet")
        manifest["previous"] = {
            "folder": str(previous),
            "known_at": manifest["known_at"],
            "touched": customers.num_rows,
        }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def _row(entity: str, given: Mapping[str, Any], schema: pa.Schema) -> dict[str, Any]:
    if unknown := set(given) - set(schema.names):
        raise KeyError(f"{entity} has no column {sorted(unknown)}; known: {schema.names}")
    row = {**DEFAULTS.get(entity, {}), **given}
    for name in schema.names:
        if name.endswith("_at"):
            _complete_time(row, name.removesuffix("_at"))
    if entity == "customer" and row.get("customer_id") is not None:
        row.setdefault("source_id", str(row["customer_id"]))
    if entity == "order_line" and "amount" not in row:
        money = [
            Decimal(str(row.get(name) or 0)) for name in ("quantity", "unit_price", "discount")
        ]
        row["amount"] = money[0] * money[1] - money[2]
    return {name: _value(row.get(name), schema.field(name).type) for name in schema.names}


def _complete_time(row: dict[str, Any], stem: str) -> None:
    """Fill ``<stem>_at``, ``_on`` and ``_hour`` from whichever is given."""
    at = row.get(f"{stem}_at") or row.get(f"{stem}_on")
    if at is not None:
        moment = datetime.fromisoformat(str(at))
        row.setdefault(f"{stem}_at", moment)
        row.setdefault(f"{stem}_on", moment.date())
        row.setdefault(f"{stem}_hour", moment.hour)


def _value(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if pa.types.is_decimal(kind):
        return round(Decimal(str(value)), kind.scale)
    if pa.types.is_timestamp(kind):
        return datetime.fromisoformat(str(value))
    if pa.types.is_date(kind):
        return date.fromisoformat(str(value)[:10])
    return value
