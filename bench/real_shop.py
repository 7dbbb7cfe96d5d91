"""How well each algorithm foresees on a real shop, beside recency alone: a JSON line each.

python bench/real_shop.py [ALGORITHM ...]  (all when none is named)

The public Online Retail file in ../shared/data, customers by number. Each model is judged on the
newest day whose whole horizon the file covers, and learns from days whose horizons end before it.
Nothing is tuned. ``above_recency``: the 95 % interval of the AUC less that of recency alone.
"""

import json
import sys
import tempfile
from datetime import date
from functools import partial
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from include import models
from include.models import ALGORITHMS, calibration, challenge, train
from include.models.challenge import Judged
from include.snapshot.schema import SCHEMA

FILE = Path(__file__).parents[2] / "shared/data/online_retail/online_retail.parquet"
MODELS = ("churn", "purchase")  # the file is too short for a year, and has no categories
FIGURES = ("auc", "average_precision", "brier", "lift_10")
LINES = f"""
    SELECT 'shop:' || InvoiceNo AS order_id, CustomerID::BIGINT AS customer_id,
           'shop:' || StockCode AS product_id, true AS is_product,
           row_number() OVER () AS line_no, InvoiceDate::TIMESTAMP AS ordered_at,
           InvoiceDate::DATE AS ordered_on, hour(InvoiceDate::TIMESTAMP)::INTEGER AS ordered_hour,
           Quantity::DECIMAL(18, 6) AS quantity, UnitPrice::DECIMAL(18, 6) AS unit_price,
           0::DECIMAL(18, 6) AS discount, (Quantity * UnitPrice)::DECIMAL(18, 6) AS amount
    FROM read_parquet('{FILE}') WHERE CustomerID IS NOT NULL"""


def written(folder: Path) -> tuple[Path, date]:
    """The file as a snapshot, and the day after its last order."""
    for entity, schema in SCHEMA.items():
        pq.write_table(schema.empty_table(), folder / f"{entity}.parquet")
    with duckdb.connect() as db:
        db.execute(f"COPY ({LINES}) TO '{folder / 'order_line.parquet'}' (FORMAT parquet)")
        row = db.execute(f"SELECT max(InvoiceDate)::DATE + 1 FROM read_parquet('{FILE}')")
        (end,) = row.fetchone() or (None,)
    manifest = {"run_id": "bench", "consent_mapped": False, "known_at": None, "known_from": {}}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "previous": None}))
    return folder, end


def line(model: str, algorithm: str, judged: Judged) -> dict[str, object]:
    """What is printed of one algorithm."""
    whole = [each for each in judged.metrics if each.slice == "all"]
    found = {each.metric: each for each in whole}
    said: dict[str, object] = {"model": model, "algorithm": algorithm}
    for name in FIGURES:
        said[name] = round(found[name].value, 4)
    said["recency_auc"] = round(found["auc"].baseline or 0, 4)
    said["recency_average_precision"] = round(found["average_precision"].baseline or 0, 4)
    said["recency_lift_10"] = round(found["lift_10"].baseline or 0, 4)
    said["base_rate_brier"] = round(found["brier"].baseline or 0, 4)
    ends = (found[f"auc_above_naive_{end}"].value for end in ("low", "high"))
    said["above_recency"] = [round(end, 4) for end in ends]
    return said


def main(algorithms: list[str]) -> None:
    """Judge each algorithm on each model."""
    with tempfile.TemporaryDirectory() as place:
        folder, end = written(Path(place))
        for model in MODELS:
            make = partial(models.make, model)
            plan = train.plan(make(), folder, end, seed=0)
            print(json.dumps({"model": model, **plan.card["made_of"]["rows"],
                              "window": plan.card["made_of"]["window"]}))  # fmt: skip
            for name in algorithms:
                tested, mending = challenge.tested(partial(make, name), plan.task)
                tested.pipeline = calibration.mend(tested.pipeline, mending)
                judged = challenge.judge(tested, None, make(), plan.task)
                print(json.dumps(line(model, name, judged)), flush=True)


if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - set(ALGORITHMS)
    if unknown:
        sys.exit(f"bench: {', '.join(unknown)} is unknown; known: {', '.join(ALGORITHMS)}")
    if not FILE.exists():
        sys.exit("bench: no ../shared/data/online_retail beside this checkout; nothing to judge")
    main(sys.argv[1:] or list(ALGORITHMS))
