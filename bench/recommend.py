"""How fast the lists are, from a snapshot to filled marts: one JSON line a figure.

python -m bench.recommend

A made-up shop of 200,000 customers, 2,000 products and 10 lines a customer (CUSTOMERS=, PRODUCTS=
and LINES= change it), some of them without consent, some of the products not on sale. The lists by
the recipe of MAKER (cosine), their partitions in a database of its own (see bench/train.py), and
what in them breaks a rule, counted by DuckDB. BUILDS= names the makers whose tables are timed.
A process's first lists, of a tiny shop, are not timed: they load what was compiled.
"""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb
import psutil
import psycopg
import pyarrow.parquet as pq

from include import domains, duck, profile, recommend
from include.marts import fill, generations
from include.recommend.compiled import compile_recipe
from include.recommend.interactions import read
from include.snapshot.schema import SCHEMA

AS_OF = date(2026, 1, 1)
LISTS = ("recommendation", "product_similarity", "bundle", "product_audience")

ONLINE_RETAIL = Path(__file__).parents[2] / "shared/data/online_retail/online_retail.parquet"
IS_PRODUCT = "regexp_matches(StockCode, '^[0-9][0-9][0-9][0-9][0-9]')"  # not POST, DOT, M, …

REAL = {
    "order_line": f"""
        SELECT InvoiceNo AS order_id, CustomerID AS customer_id, 'shop:' || StockCode AS product_id,
               {IS_PRODUCT} AS is_product, InvoiceDate AS ordered_at,
               InvoiceDate::DATE AS ordered_on, Quantity AS quantity, UnitPrice AS unit_price
        FROM read_parquet('{{file}}')""",
    "product": f"""
        SELECT 'shop:' || StockCode AS product_id, mode(trim(Description)) AS name,
               median(UnitPrice) AS price, TRUE AS in_stock, {IS_PRODUCT} AS is_product
        FROM read_parquet('{{file}}') GROUP BY StockCode""",
    "customer": """
        SELECT DISTINCT CustomerID AS customer_id FROM read_parquet('{file}')
        WHERE CustomerID IS NOT NULL""",
}
# Customers order three products at a time, most of one of 50 groups, and within it the first ones;
# one in twenty has withdrawn consent, one product in twenty is out of stock, some are not offered.
MADE_UP = {
    "order_line": """
        SELECT (line % {customers}) || '-' || (line // {customers} // 3) AS order_id,
               line % {customers} AS customer_id,
               'p' || lpad(CAST(CASE WHEN random() < 0.6
                   THEN (line % {customers}) % 50 * ({products} // 50)
                        + floor(pow(random(), 2) * ({products} // 50))
                   ELSE floor(pow(random(), 2) * {products}) END AS BIGINT)::VARCHAR, 6, '0')
                   AS product_id,
               DATE '2026-01-01' - CAST(1 + hash(order_id) % 700 AS INT) AS ordered_on,
               TRUE AS is_product, 1 AS quantity, 10 AS unit_price, 10 AS amount
        FROM range({customers} * {lines}) AS lines(line)""",
    "product": """
        SELECT 'p' || lpad(n::VARCHAR, 6, '0') AS product_id, 'product ' || n AS name,
               'group ' || (n // ({products} // 50)) AS category, n % 40 + 1 AS price,
               n % 20 > 0 AS in_stock, n % 200 <> 7 AS is_product, n % 100 = 3 AS age_restricted,
               CASE WHEN n % 50 = 11 THEN DATE '2025-06-01' END AS discontinued_on
        FROM range({products}) AS products(n)""",
    "customer": "SELECT n AS customer_id FROM range({customers}) AS customers(n)",
    "consent": """
        SELECT n AS customer_id, 'personalisation' AS purpose, given = 0 OR n % 20 > 0 AS granted,
               TIMESTAMP '2024-01-01' + to_days(given::INT) AS given_at,
               CAST(given_at AS DATE) AS given_on
        FROM range({customers}) AS customers(n), range(2) AS times(given)""",
}


PROFILE = """
    SELECT customer_id, {as_of} - max(ordered_on) AS recency_days,
           count(DISTINCT order_id) AS order_count, sum(amount)::DOUBLE AS revenue,
           'country ' || customer_id % 20 AS country
    FROM read_parquet({lines}) GROUP BY customer_id ORDER BY customer_id"""


def snapshot(folder: Path, queries: dict[str, str], **given: object) -> Path:
    """Write a snapshot of what ``queries`` select; the rest is empty or null."""
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as db:
        db.execute("SELECT setseed(0.5)")
        db.execute("SET threads = 1")
        db.execute("SET enable_progress_bar = false")
        for entity, schema in SCHEMA.items():
            empty = schema.empty_table()
            path = folder / f"{entity}.parquet"
            pq.write_table(empty, path)
            if entity in queries:
                db.execute(f"CREATE TABLE {entity} AS FROM read_parquet('{path}')")
                db.execute(f"INSERT INTO {entity} BY NAME {queries[entity].format(**given)}")
                db.execute(f"COPY {entity} TO '{path}' (FORMAT parquet)")
    manifest = {"consent_mapped": "consent" in queries}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def show(name: str, value: float, unit: str, **more: object) -> None:
    """Print one figure."""
    line = {"name": name, "value": round(value, 4), "unit": unit, **more}
    print(json.dumps(line), flush=True)


def apart(work: Callable[..., Any], *args: Any) -> Any:
    """What ``work`` gives in a process of its own, so that its memory is its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(work, *args).result()


def peak_gib() -> float:
    """The most memory that this process has held; getrusage would begin with its parent's."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(each.split()[1]) / 2**20 for each in lines if each.startswith("VmHWM:"))


@contextmanager
def cost(of: dict[str, float], *servers: psutil.Process) -> Iterator[None]:
    """Add the seconds to ``of``, and the core-seconds of this process and of the servers'."""

    def core_s() -> float:
        return time.process_time() + sum(sum(each.cpu_times()[:2]) for each in servers)

    began, used = time.perf_counter(), core_s()
    yield
    of["s"] = of.get("s", 0.0) + time.perf_counter() - began
    of["core_s"] = of.get("core_s", 0.0) + core_s() - used


def made_up(folder: Path, customers: int, products: int, lines: int) -> Path:
    """Write the made-up shop, in a process of its own."""
    given = {"customers": customers, "products": products, "lines": lines}
    apart(_made_up, folder, given)
    return folder


def _made_up(folder: Path, given: dict[str, int]) -> None:
    snapshot(folder, MADE_UP, **given)
    lines, path = folder / "order_line.parquet", folder / f"profile_{AS_OF}.parquet"
    with duckdb.connect() as db:  # as much of a profile as the lists look at
        found = db.execute(PROFILE.format(lines=duck.quoted(lines), as_of=f"DATE '{AS_OF}'"))
        known = found.to_arrow_table().replace_schema_metadata({"recipe": profile.recipe()})
    pq.write_table(known, path)


def card(maker: str) -> dict[str, Any]:
    """The model card of a recipe, with popularity by group."""
    return {"recipe": recommend.Recipe(maker=maker, neighbours=50, group_prior=100.0).settings()}


def warm_up(folder: Path, maker: str) -> None:
    """Make the lists of a tiny shop: what is compiled is loaded, or compiled and kept."""
    snapshot(folder, MADE_UP, customers=500, products=100, lines=5)
    recommend.lists(folder, AS_OF, card(maker), folder)


def whole_way(url: str, folder: Path, maker: str) -> dict[str, dict[str, float]]:
    """Lists for everyone, snapshot to Parquet, then to the partitions of a generation."""
    warm_up(folder.with_name("tiny"), maker)
    found: dict[str, dict[str, float]] = {"lists": {}, "fill": {}}
    with cost(found["lists"]):
        counts = recommend.lists(folder, AS_OF, card(maker), folder)
    found["lists"]["peak_gib"] = peak_gib()
    with psycopg.connect(url, autocommit=True) as db:
        generation = generations.begin(
            db, as_of=AS_OF, run_id="bench", data_to=None, stale_reason=None, sources=[]
        )
        with cost(found["fill"], psutil.Process(db.info.backend_pid)):
            for table in LISTS:
                given = {"generation": generation, "as_of": AS_OF, "work": folder}
                rows = fill.fill(db, table, folder=folder, **given)
                assert rows == counts[table], f"{table}: {rows} rows of {counts[table]}"
    found["fill"]["peak_gib"] = peak_gib()
    found["counts"] = counts
    return found


def speed(url: str, folder: Path, maker: str) -> None:
    """The whole way and its parts."""
    found = apart(whole_way, url, folder, maker)
    listed, filled, counts = found["lists"], found["fill"], found["counts"]
    show("recommend_lists", listed["s"], "s")
    show("recommend_lists_core", listed["core_s"], "core-s")
    show("recommend_customers_per_second", counts["customers"] / listed["s"], "1/s")
    show("recommend_customers_per_core_second", counts["customers"] / listed["core_s"], "1/core-s")
    show("recommend_peak", listed["peak_gib"], "GiB")
    for table in LISTS:
        show(f"recommend_{table}_rows", counts[table], "rows")
    show("recommend_fill", filled["s"], "s")
    show("recommend_fill_core", filled["core_s"], "core-s")
    show("recommend_whole_way", listed["s"] + filled["s"], "s")
    show("recommend_whole_way_core", listed["core_s"] + filled["core_s"], "core-s")
    show("recommend_whole_way_peak", filled["peak_gib"], "GiB")


# What breaks a rule, from the files alone: none of it goes through the code that makes lists.
RULES = """
CREATE VIEW listed AS FROM read_parquet({recommendation});
CREATE VIEW prospect AS FROM read_parquet({product_audience});
CREATE VIEW shelf AS SELECT product_id FROM read_parquet({product})
    WHERE in_stock AND is_product AND NOT coalesce(age_restricted, FALSE)
      AND coalesce(available_on <= {as_of}, TRUE) AND coalesce(discontinued_on > {as_of}, TRUE);
CREATE TABLE bought AS SELECT DISTINCT customer_id, product_id FROM read_parquet({order_line})
    WHERE quantity > 0 AND is_product AND ordered_on < {as_of};
CREATE TABLE agreed AS SELECT customer_id FROM read_parquet({consent})
    WHERE purpose = 'personalisation' AND given_on < {as_of}
    GROUP BY customer_id HAVING arg_max(granted, given_at);
CREATE TABLE wanted AS
    SELECT customer_id, count(product_id) AS own,
           (SELECT count(*) FROM shelf) - own AS others
    FROM agreed LEFT JOIN (FROM bought SEMI JOIN shelf USING (product_id)) USING (customer_id)
    GROUP BY customer_id;
"""
VIOLATIONS = {
    "explore_already_bought": """SELECT count(*) FROM listed
        SEMI JOIN bought USING (customer_id, product_id) WHERE list = 'explore'""",
    "not_on_sale": "SELECT count(*) FROM listed ANTI JOIN shelf USING (product_id)",
    "customers_without_consent": """SELECT count(DISTINCT customer_id)
        FROM listed ANTI JOIN agreed USING (customer_id)""",
    "duplicates": """SELECT coalesce(sum(n - 1), 0) FROM (
        SELECT count(*) AS n FROM listed GROUP BY customer_id, list, product_id HAVING n > 1)""",
    "short_lists": """SELECT count(*) FROM (
        SELECT customer_id, 'explore' AS list, least({explore}, others) AS places FROM wanted
        UNION ALL SELECT customer_id, 'repeat', least({repeat}, own) FROM wanted)
        LEFT JOIN (SELECT customer_id, list, count(*) AS n FROM listed GROUP BY ALL)
        USING (customer_id, list) WHERE coalesce(n, 0) <> places""",
    "audience": """SELECT count(*) FROM prospect WHERE
        (customer_id, product_id) IN (FROM bought) OR product_id NOT IN (FROM shelf)
        OR customer_id NOT IN (FROM agreed)""",
}

OF = {"customers_without_consent": "customers", "short_lists": "lists"}


def violations(folder: Path) -> None:
    """Count what must not be there, in the written files."""
    shop = domains.load().lists
    names = ("recommendation", "product_audience", "product", "order_line", "consent")
    files = {name: duck.quoted(folder / f"{name}.parquet") for name in names}
    lengths = {"explore": shop.explore_length, "repeat": shop.repeat_length}
    with duck.opened("violations", beside=folder) as (db, _):
        db.execute(RULES.format(as_of=f"DATE '{AS_OF}'", **files))
        for name, query in VIOLATIONS.items():
            row = db.execute(query.format(**lengths)).fetchone()
            show(f"recommend_violations_{name}", row[0], OF.get(name, "rows"))


def builds(folder: Path, makers: list[str]) -> None:
    """Reading, and each maker's table."""
    found: dict[str, float] = {}
    with cost(found):
        data = read(folder, AS_OF, grouped=False)
    show("recommend_read", found["s"], "s")
    for maker in makers:
        found = {}
        with cost(found):
            compile_recipe(recommend.Recipe(maker=maker), data)
        show(f"recommend_build_{maker}", found["s"], "s", core_s=round(found["core_s"], 2))


def main() -> None:
    """All of it, in a folder that goes away."""
    from bench.train import database  # and all models, which the lists' process need not hold

    usual = {"customers": 200_000, "products": 2000, "lines": 10}
    size = {name: int(os.environ.get(name.upper()) or n) for name, n in usual.items()}
    makers = os.environ.get("BUILDS", ",".join(recommend.MAKERS)).split(",")
    with tempfile.TemporaryDirectory() as name, database(Path(name)) as url:
        folder = made_up(Path(name) / "speed", **size)
        speed(url, folder, os.environ.get("MAKER") or "cosine")
        apart(violations, folder)
        apart(builds, folder, [maker for maker in makers if maker])


if __name__ == "__main__":
    main()
