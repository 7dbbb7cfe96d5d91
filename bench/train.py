"""What a training costs at size: one JSON line a model. `python -m bench.train`.

A made-up shop of 500,000 customers (CUSTOMERS= changes it) with about 15 order lines each over 800
days, mails and answers, visits, tickets and ratings: no feature of the profile is empty, every
model of ``wanted`` is ready. First the dated profiles, then each model in a process of its own, as
the scheduler would do it, with the algorithm of the domain. LIMIT is what each of them may take.

The warehouse is a database of its own that goes away, on the server of PORTRAIT_BENCH_DSN (a
superuser's URL), or else in the embedded server.
"""

import json
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow.parquet as pq
from psycopg import sql

from include import domains, duck, models, profile, warehouse
from include.local import postgres
from include.models import labels, segments, train, value
from include.models.value import contest
from include.snapshot.schema import SCHEMA

FIRST, DAYS = date(2024, 1, 1), 800
AS_OF = FIRST + timedelta(days=DAYS)
LIMIT = {"wall_s": 600, "peak_gb": 4}  # of a model, on two cores
KIBIBYTES_A_GB = 2**20

# Numbers from 0 to 1 that depend on whom and what they are of alone. Each customer joins on a day,
# stays for a while, and buys at an own pace of an own category.
PEOPLE = f"""
    WITH drawn AS (
        SELECT n, CAST({DAYS - 100} * pow(hash(n, 'joins') % 9973 / 9973.0, 2) AS int) AS joins,
               -ln(1 - hash(n, 'stays') % 9973 / 9973.0) * 700 AS stays,
               20 + 200 * pow(hash(n, 'pace') % 9973 / 9973.0, 2) AS pace,
               10 + 90 * pow(hash(n, 'purse') % 9973 / 9973.0, 3) AS purse,
               hash(n, 'likes') % 8 AS likes, hash(n, 'answers') % 9973 / 9973.0 AS answers
        FROM range({{customers}}) AS r (n)
    ), people AS (SELECT *, least({DAYS} - joins, stays) AS days FROM drawn),
    times AS (
        SELECT *, CAST(joins + pace * (o + hash(n, o, 'day') % 97 / 97.0) AS int) AS day,
               CAST(hash(n, o, 'hour') % 24 AS int) AS hour
        FROM (SELECT *, unnest(range(1 + CAST(floor(days / pace) AS bigint))) AS o FROM people)
    ), orders AS (
        SELECT *, n || '-' || o AS order_id, DATE '{FIRST}' + day AS ordered_on,
               (DATE '{FIRST}' + day)::timestamp + to_hours(hour) AS ordered_at
        FROM times WHERE day < {DAYS}
    )"""
ORDER_LINE = f"""{PEOPLE}, lines AS (
        SELECT *, unnest(range(1 + CAST(hash(n, o, 'lines') % 3 AS bigint))) AS line FROM orders
    )
    SELECT order_id, n AS customer_id, true AS is_product, line AS line_no, ordered_at, ordered_on,
           hour AS ordered_hour, 'p' || (200 * CASE WHEN hash(n, o, line, 'own') % 10 < 6
               THEN likes ELSE hash(n, o, line, 'other') % 8 END
               + hash(n, o, line, 'which') % 200) AS product_id,
           CASE WHEN hash(n, o, line, 'back') % 50 = 0 THEN -1 ELSE 1 + hash(n, o, line) % 3 END
               AS quantity,
           purse * (0.5 + hash(n, o, line, 'price') % 100 / 100.0) AS unit_price,
           CASE WHEN hash(n, o, 'cheaper') % 5 = 0 THEN 1 ELSE 0 END AS discount,
           quantity * unit_price - discount AS amount
    FROM lines"""
INTERACTION = f"""{PEOPLE}, told AS (
        SELECT *, unnest(range(CAST(({DAYS} - joins) // 60 AS bigint))) AS o FROM people
    ), said AS (
        SELECT n, joins + 60 * o + hash(n, o, 'mail') % 59 AS day,
               unnest(['mail_sent', 'mail_open', 'mail_click', 'campaign_answer', 'visit',
                       'view', 'cart']) AS kind,
               hash(n, o, 'wakes') % 997 / 997.0 AS wakes, answers
        FROM told WHERE n % 5 < 3
    )
    SELECT n AS customer_id, kind, DATE '{FIRST}' + CAST(day AS int) AS happened_on,
           happened_on::timestamp AS happened_at, 9 AS happened_hour
    FROM said WHERE day < {DAYS} AND wakes < CASE kind WHEN 'mail_sent' THEN 1
        WHEN 'mail_open' THEN answers WHEN 'mail_click' THEN answers / 2
        WHEN 'campaign_answer' THEN answers / 9 WHEN 'cart' THEN answers / 5 ELSE .4 END"""
TICKET = f"""{PEOPLE}
    SELECT order_id AS ticket_id, n AS customer_id, ordered_at AS opened_at,
           ordered_on AS opened_on, ordered_at + INTERVAL 5 HOUR AS first_answer_at,
           ordered_at + INTERVAL 3 DAY AS closed_at, ordered_on + 3 AS closed_on,
           hash(n, o, 'again') % 2 AS reopened
    FROM orders WHERE hash(n, o, 'asks') % 9 = 0"""
FEEDBACK = f"""{PEOPLE}
    SELECT order_id AS feedback_id, n AS customer_id, ordered_at AS given_at,
           ordered_on AS given_on, 1 + hash(n, o, 'stars') % 5 AS rating
    FROM orders WHERE hash(n, o, 'rates') % 6 = 0"""
SHOP = {
    "customer": f"""{PEOPLE}
        SELECT n AS customer_id, 'shop' AS source, n::text AS source_id, false AS is_staff,
               DATE '{FIRST}' + joins AS signup_on, 1950 + hash(n, 'born') % 55 AS birth_year,
               if(hash(n, 'is') % 2 = 0, 'f', 'm') AS gender, false AS is_test
        FROM people""",
    "product": """
        SELECT 'p' || n AS product_id, 'shop' AS source, 'product ' || n AS name,
               'category ' || n // 200 AS category, 'brand ' || n % 30 AS brand,
               n % 40 + 1 AS price, true AS in_stock, true AS is_product
        FROM range(1600) AS r (n)""",
    "customer_order": f"""{PEOPLE}
        SELECT order_id, n AS customer_id, ordered_at, ordered_on, hour AS ordered_hour,
               if(hash(n, o, 'where') % 3 = 0, 'web', 'shop') AS channel, purse AS total,
               false AS is_left_out
        FROM orders""",
    "order_line": ORDER_LINE,
    "interaction": INTERACTION,
    "ticket": TICKET,
    "feedback": FEEDBACK,
}


def write_shop(folder: Path, customers: int) -> dict[str, Any]:
    """Write the shop as a snapshot, the same one each time; say how large it is."""
    folder.mkdir()
    with duckdb.connect(config={"threads": 2, "memory_limit": "2GB"}) as db:
        db.execute("SET enable_progress_bar = false")
        for entity, schema in SCHEMA.items():
            path = folder / f"{entity}.parquet"
            pq.write_table(schema.empty_table(), path)
            if entity in SHOP:
                db.execute(f"CREATE TABLE made AS FROM read_parquet({duck.quoted(path)})")
                db.execute(f"INSERT INTO made BY NAME {SHOP[entity].format(customers=customers)}")
                db.execute(f"COPY made TO {duck.quoted(path)} (FORMAT parquet)")
                db.execute("DROP TABLE made")
    manifest = {"consent_mapped": False, "known_at": f"{AS_OF}T00:00:00+00:00", "known_from": {}}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return {"customers": customers, "lines": profile.customers(folder / "order_line.parquet")}


def days(folder: Path) -> list[date]:
    """Every day whose profile a training asks for, oldest first."""
    known = labels.span(folder, AS_OF)
    ahead = {
        models.make(name).horizon_days(domains.load()) for name in models.wanted(folder, AS_OF)
    }
    found = {AS_OF}
    for horizon_days in {*ahead, contest.JUDGED_DAYS}:
        if wanted := labels.folds(known, horizon_days):
            found |= {wanted.test, *wanted.train}
    return sorted(found)


def write_profiles(folder: Path) -> dict[str, Any]:
    """Work out the dated profiles."""
    wanted = days(folder)
    for day in wanted:
        profile.compute(folder, day)
    return {"days": len(wanted)}


def train_model(url: str, folder: Path, name: str) -> dict[str, Any]:
    """Train one model, and say what was decided and of how many rows."""
    given: dict[str, Any] = {"as_of": AS_OF, "run_id": "bench"}
    trains = {"segment": segments.train, "value": value.train}
    with psycopg.connect(url) as db:
        if name in trains:
            made = trains[name](db, folder, **given)
        else:
            made = train.train(db, folder, name, **given)
        row = db.execute(
            """SELECT card -> 'made_of' -> 'rows', card -> 'made_of' -> 'features'
               FROM ops.model_version WHERE model_version = %s""",
            [made["model_version"]],
        ).fetchone()
    rows, features = row or (None, None)
    return {
        "model": name,
        "decision": made["decision"],
        "rows": rows,
        "features": len(features) if features else None,
        "reason": made["reason"],
    }


def measured(work: Callable[..., dict[str, Any]], *args: Any) -> dict[str, Any]:
    """What work says, and what it cost: that of the whole process, its start too."""
    began = time.monotonic()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        said, cost = process.submit(_measured, work, *args).result()
    return {**said, **cost, "wall_s": round(time.monotonic() - began, 1)}


def _measured(
    work: Callable[..., dict[str, Any]], *args: Any
) -> tuple[dict[str, Any], dict[str, float]]:
    said = work(*args)
    # not getrusage: a child's begins with its parent's peak
    peak = next(
        int(line.split()[1])
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        if line.startswith("VmHWM:")
    )
    return said, {
        "core_s": round(time.process_time(), 1),
        "peak_gb": round(peak / KIBIBYTES_A_GB, 2),
    }


def show(name: str, **figures: Any) -> None:
    """Print one line."""
    print(json.dumps({"name": name, **figures}), flush=True)


@contextmanager
def database(scratch: Path) -> Iterator[str]:
    """The conninfo of a warehouse with every contract deployed, which goes away."""
    given = os.environ.get("PORTRAIT_BENCH_DSN")
    admin = given or postgres.start(scratch / "home", durable=False).url_admin
    name = f"portrait_bench_{secrets.token_hex(6)}"
    with psycopg.connect(admin, autocommit=True) as db:
        db.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        url = psycopg.conninfo.make_conninfo(admin, dbname=name)
        with psycopg.connect(url) as db:
            warehouse.deploy(db)
        yield url
    finally:
        with psycopg.connect(admin, autocommit=True) as db:
            db.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        if given is None:
            postgres.remove(scratch / "home")


def main() -> None:
    """The shop, its profiles and every model, in a folder that goes away."""
    customers = int(os.environ.get("CUSTOMERS") or 500_000)
    with tempfile.TemporaryDirectory() as name, database(Path(name)) as url:
        folder = Path(name) / "shop"
        show("train_shop", **measured(write_shop, folder, customers))
        show("train_profiles", **measured(write_profiles, folder))
        for model in [*models.wanted(folder, AS_OF), "segment", "value"]:
            found = measured(train_model, url, folder, model)
            met = all(found[figure] <= most for figure, most in LIMIT.items())
            show("train_model", **found, limit=LIMIT, met=met)


if __name__ == "__main__":
    main()
