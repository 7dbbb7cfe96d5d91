"""The leak alarm: which features know what could not have been known, and which are too good.

A feature of a past day must come out the same when everything dated on or after that day is taken
away. So the profile is worked out twice, for the same few customers to whom something happened
later: with their later rows and without. What differs has seen the future. It cannot see a source
that writes over its rows without a date; there a feature that foretells nearly everything on its
own is a sign.
"""

from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from include import profile
from include.models.base import matrix
from include.models.metrics import auc
from include.profile.moved import DATED
from include.snapshot.schema import SCHEMA

MOST = 500  # customers: a leak shows in most of those to whom something happened later
TOO_GOOD = 0.95  # AUC that a single honest feature hardly ever reaches
CLOSE = 1e-6  # floats nearer than this are the same sum in another order
ROWS_OF_A_DAY = {  # entity -> the column that says when a row came about
    entity: next(column for table, column in DATED if table == entity) for entity, _ in DATED
}


def foreseen(folder: Path, day: date) -> list[str]:
    """The features of a past day that change when later rows are taken away, by name.

    Of those to whom something happened on the day or after; none, if nothing did.
    """
    with profile.open_snapshot(folder) as (db, _):
        drawn = _drawn(db, day)
    if not len(drawn):
        return []
    with_later, without = (_profile(folder, day, drawn, cut) for cut in (False, True))
    known = with_later.index.intersection(without.index)
    return [
        name
        for name in with_later
        if not _same(with_later.loc[known, name], without.loc[known, name])
    ]


def too_good(profiles: pd.DataFrame, labels: pd.Series, names: list[str]) -> dict[str, float]:
    """The features whose own ranking reaches an AUC of ``TOO_GOOD``, with it; missing is lowest."""
    found = {}
    for name, values in matrix(profiles, names).items():
        filled = values.fillna(values.min() - 1 if values.notna().any() else 0.0)
        alone = auc(labels, filled)
        if max(alone, 1 - alone) >= TOO_GOOD:
            found[str(name)] = round(max(alone, 1 - alone), 4)
    return found


def _drawn(db: duckdb.DuckDBPyConnection, day: date) -> pa.Table:
    later = " UNION ".join(
        f"SELECT customer_id FROM {entity} WHERE {column} >= DATE '{day}'"
        for entity, column in ROWS_OF_A_DAY.items()
        if entity != "customer"
    )
    return db.sql(
        f"FROM ({later}) WHERE customer_id IS NOT NULL ORDER BY md5(customer_id::text) LIMIT {MOST}"
    ).to_arrow_table()


def _profile(folder: Path, day: date, drawn: pa.Table, cut: bool) -> pd.DataFrame:
    """The profile of the customers drawn, as if they were all."""
    names = ", ".join(column.name for column in profile.features())
    with profile.open_snapshot(folder) as (db, _):
        db.register("drawn", drawn)
        for entity in dict.fromkeys(entity for entity, _ in DATED):
            db.execute(
                f"CREATE OR REPLACE VIEW {entity} AS {_before(entity, day) if cut else 'SELECT *'} "
                f"FROM every_{entity} SEMI JOIN drawn USING (customer_id)"
                + (_rows_before(entity, day) if cut else "")
            )
        if cut:
            db.execute(
                f"CREATE OR REPLACE VIEW product AS {_before('product', day)} FROM every_product"
            )
        profile.build(db, day)
        found = db.sql(f"SELECT customer_id, {names} FROM profile ORDER BY customer_id").df()
    return found.set_index("customer_id")


def _before(entity: str, day: date) -> str:
    """SELECT of all columns, later days and moments unknown."""
    moments = [
        field.name
        for field in SCHEMA[entity]
        if pa.types.is_date(field.type) or pa.types.is_timestamp(field.type)
    ]
    unknown = ", ".join(
        f"CASE WHEN {name} < DATE '{day}' THEN {name} END AS {name}" for name in moments
    )
    return f"SELECT * REPLACE ({unknown})" if unknown else "SELECT *"


def _rows_before(entity: str, day: date) -> str:
    """Rows without a day stay: nobody knows since when they are there."""
    column = ROWS_OF_A_DAY[entity]
    return f" WHERE {column} IS NULL OR {column} < DATE '{day}'"


def _same(one: pd.Series, other: pd.Series) -> bool:
    if pd.api.types.is_float_dtype(one) and pd.api.types.is_float_dtype(other):
        close = np.isclose(one, other, rtol=CLOSE, atol=CLOSE, equal_nan=True)
        return bool(close.all())
    return bool(((one == other) | (one.isna() & other.isna())).all())
