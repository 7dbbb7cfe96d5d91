"""How likely two records are one person: splink's weights, learnt without an example.

The parameters are kept, so that the weight of a pair depends on its two records alone and a pair
need not be weighed twice. Deterministic: same records, same parameters, any number of threads.
"""

import logging
from copy import deepcopy
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from splink import DuckDBAPI, Linker
from splink.internals.splink_dataframe import SplinkDataFrame

from include.identity.cluster import Floats
from include.identity.fields import Fields, comparisons
from include.identity.learn import Patterns, matched, prior, shares
from include.identity.records import MOST_PER_BLOCK

log = logging.getLogger(__name__)
logging.getLogger("splink").setLevel(logging.ERROR)  # its warnings show SQL and counts, not faults

FEWEST_PAIRS = 50  # sure pairs; fewer teach nothing
SAMPLE = 1500  # records, about a million pairs: what strangers have in common
SOME = 50_000  # records, whose pairs say how rare a true pair is
PAIRS = 100_000  # at most, that a rule of ``train`` gives to learn from

Model = dict[str, Any]


def train(db: duckdb.DuckDBPyConnection, fields: Fields) -> Model | None:
    """Learn from the table ``record``; None where it holds too few pairs that are surely one.

    Returns
    -------
    splink's settings with all parameters: numbers and conditions, no value of a record.
    """
    sure = " UNION ".join(_agreeing(rule, step=1) for rule in fields.sure)
    found = _number(db, f"SELECT count(*) FROM ({sure})")
    if found < FEWEST_PAIRS:
        log.info("identity: %d sure pairs of %d, so no weights are learnt", found, FEWEST_PAIRS)
        return None
    known = _number(db, "SELECT count(*) FROM record")
    model = _settings(fields, prior=found / (known * (known - 1) / 2))
    levels = [len(compared["comparison_levels"]) - 1 for compared in model["comparisons"]]
    strangers = _strangers(db, fields, model, levels)
    total, weight = [np.zeros(n) for n in levels], np.zeros(len(levels))
    for rule in fields.train:
        chosen = {part.split("__")[0] for part in rule}
        free = [at for at, name in enumerate(fields.fields) if name not in chosen]
        step = max(1, -(-_number(db, f"SELECT count(*) FROM ({_agreeing(rule, step=1)})") // PAIRS))
        likely, pairs = matched(
            _patterns(db, fields, model, _agreeing(rule, step=step)), strangers, free
        )
        for at in free:
            total[at] += likely[at] * (pairs + 1)  # 1: a rule may find no pair at all
            weight[at] += pairs + 1
    learnt = {at: total[at] / weight[at] for at in range(len(levels))}
    for at, compared in enumerate(model["comparisons"]):
        _learnt(compared, learnt[at], strangers[at])
    step = max(1, known // SOME)
    db.execute(f"""CREATE OR REPLACE TEMP TABLE sampled AS
        SELECT n FROM record WHERE hash(content) % {step} = 0""")
    seen = _patterns(db, fields, model, f"{_blocked(fields, 'sampled')} WHERE l IN (FROM sampled)")
    everything = known * (known - 1) / 2 / step
    share = prior(seen, learnt, strangers, first=found / everything / step, total=everything)
    model["probability_two_random_records_match"] = _cut(share)
    return model


def _strangers(
    db: duckdb.DuckDBPyConnection, fields: Fields, model: Model, levels: list[int]
) -> list[Floats]:
    """Of each field how often two people show each level."""
    db.execute(f"""CREATE OR REPLACE TEMP TABLE stranger AS
        SELECT n FROM record ORDER BY hash(content), n LIMIT {SAMPLE}""")
    pairs = "SELECT a.n AS l, b.n AS r FROM stranger a JOIN stranger b ON a.n < b.n"
    apart = _patterns(db, fields, model, pairs)
    return [shares(apart.level[:, at], apart.count, n) for at, n in enumerate(levels)]


def _settings(fields: Fields, *, prior: float) -> Model:
    """splink's settings before anything is learnt but how rare a true pair is."""
    return {
        "link_type": "dedupe_only",
        "unique_id_column_name": "n",
        "sql_dialect": "duckdb",
        "probability_two_random_records_match": _cut(min(prior, 0.5)),
        "comparisons": comparisons(fields),
        "blocking_rules_to_generate_predictions": [],
        "retain_matching_columns": False,
        "retain_intermediate_calculation_columns": True,
        "linker_uid": "portrait",
    }


def _learnt(compared: dict[str, Any], likely: Floats, strangers: Floats) -> None:
    """Write down the shares; splink's levels stand from the highest to the lowest."""
    said = [level for level in compared["comparison_levels"] if not level.get("is_null_level")]
    for at, level in enumerate(reversed(said)):
        level["m_probability"] = _cut(likely[at])
        level["u_probability"] = _cut(strangers[at])


def _cut(value: float) -> float:
    """Seven digits: what is left does not depend on the order of sums."""
    return float(f"{value:.7g}")


def _agreeing(rule: tuple[str, ...], *, step: int) -> str:
    """The pairs that agree on all of ``rule``, of one in ``step`` values."""
    listed = ", ".join(rule)
    there = " AND ".join(f"{part} IS NOT NULL" for part in rule)
    return f"""SELECT a.n AS l, b.n AS r FROM record a JOIN record b USING ({listed})
        SEMI JOIN (SELECT {listed} FROM record WHERE {there} AND hash({listed}) % {step} = 0
            GROUP BY ALL HAVING count(*) BETWEEN 2 AND {MOST_PER_BLOCK}) AS small USING ({listed})
        WHERE a.n < b.n"""


def _patterns(db: duckdb.DuckDBPyConnection, fields: Fields, model: Model, pairs: str) -> Patterns:
    shown = {**model, "retain_matching_columns": True}  # else splink keeps the levels to itself
    scored = _predicted(db, shown, pairs, least=None)
    levels = ", ".join(f"gamma_{name}" for name in fields.fields)
    rows = db.execute(
        f"SELECT {levels}, count(*) FROM {scored.physical_name} GROUP BY ALL ORDER BY ALL"
    ).fetchnumpy()
    scored.drop_table_from_database_and_remove_from_cache()
    *level, count = rows.values()
    return Patterns(np.stack(level, axis=1).astype(np.int8), count.astype(np.int64))


def _predicted(
    db: duckdb.DuckDBPyConnection, model: Model, pairs: str, *, least: float | None
) -> SplinkDataFrame:
    """splink's table of the pairs with their levels and weights."""
    db.execute(f"""CREATE OR REPLACE TABLE pair AS
        SELECT '0' AS match_key, l AS join_key_l, r AS join_key_r FROM ({pairs})""")
    api = DuckDBAPI(connection=db)
    linker = Linker(api.register("record"), deepcopy(model), log_level=None)
    linker.table_management.register_blocked_pairs_for_predict(api.register("pair"))
    return linker.inference.predict(threshold_match_probability=least, warning_mode="never")


def score(db: duckdb.DuckDBPyConnection, fields: Fields, model: Model, *, least: float) -> pa.Table:
    """Weigh the pairs of ``record`` that share a block and of which one is in ``fresh``.

    Parameters
    ----------
    least : the probability below which a pair is not worth a row.

    Returns
    -------
    l and r (places of records, l < r), weight (log 2 of the odds), probability, and the weight
    of each field; in the order of l and r.
    """
    scored = _predicted(db, model, _blocked(fields, "fresh"), least=least)
    weights = ", ".join(f'round(mw_{name}, 2) AS "{name}"' for name in fields.fields)
    table = db.sql(f"""SELECT n_l AS l, n_r AS r, round(match_weight, 4) AS weight,
        round(match_probability, 6) AS probability, {weights}
        FROM {scored.physical_name} ORDER BY l, r""").to_arrow_table()
    scored.drop_table_from_database_and_remove_from_cache()
    log.info(
        "identity: %d pairs weighed, %d kept", _number(db, "SELECT count(*) FROM pair"), len(table)
    )
    return table


def _blocked(fields: Fields, new: str) -> str:
    """The pairs l < r that share a block and of which one is in the table ``new``."""
    blocks = " UNION ".join(
        f"""SELECT least(f.n, r.n) AS l, greatest(f.n, r.n) AS r
            FROM (SELECT n, block_{place} AS block FROM record SEMI JOIN {new} USING (n)) f
            JOIN record r ON r.block_{place} = f.block WHERE r.n <> f.n"""
        for place in range(len(fields.blocks))
    )
    return f"SELECT l, r FROM ({blocks})"


def _number(db: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(db.execute(query).fetchall()[0][0])
