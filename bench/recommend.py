"""How fast and how good the lists are: one JSON line a figure. `python -m bench.recommend`.

Speed on a made-up shop of 200,000 customers, 2,000 products and 10 lines a customer (CUSTOMERS=,
PRODUCTS= and LINES= change it); quality on the real shop in ../shared/data, where it is.
"""

import json
import os
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing import get_context
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from include import domains, recommend
from include.recommend.compiled import compile_recipe
from include.recommend.interactions import read
from include.recommend.judge import baselines, judge_explore, judge_repeat, trial
from include.recommend.training import choose
from include.snapshot.schema import SCHEMA

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
# Customers favour one of 50 groups of products, and within it the first ones.
MADE_UP = {
    "order_line": """
        SELECT 'o' || (line // 3) AS order_id, line % {customers} AS customer_id,
               'p' || lpad(CAST(CASE WHEN random() < 0.6
                   THEN (line % {customers}) % 50 * ({products} // 50)
                        + floor(pow(random(), 2) * ({products} // 50))
                   ELSE floor(pow(random(), 2) * {products}) END AS BIGINT)::VARCHAR, 6, '0')
                   AS product_id,
               DATE '2026-01-01' - CAST(1 + random() * 700 AS INT) AS ordered_on,
               TRUE AS is_product, 1 AS quantity, 10 AS unit_price
        FROM range({customers} * {lines}) AS lines(line)""",
    "product": """
        SELECT 'p' || lpad(n::VARCHAR, 6, '0') AS product_id, 'product ' || n AS name,
               'group ' || (n // ({products} // 50)) AS category, n % 40 + 1 AS price,
               n % 20 > 0 AS in_stock, TRUE AS is_product
        FROM range({products}) AS products(n)""",
    "customer": "SELECT n AS customer_id FROM range({customers}) AS customers(n)",
}


def snapshot(folder: Path, queries: dict[str, str], **given: object) -> Path:
    """Write a snapshot of what ``queries`` select; the rest is empty or null."""
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as db:
        db.execute("SELECT setseed(0.5)")
        db.execute("SET threads = 1")
        for entity, schema in SCHEMA.items():
            empty = schema.empty_table()
            path = folder / f"{entity}.parquet"
            pq.write_table(empty, path)
            if entity in queries:
                db.execute(f"CREATE TABLE {entity} AS FROM read_parquet('{path}')")
                db.execute(f"INSERT INTO {entity} BY NAME {queries[entity].format(**given)}")
                db.execute(f"COPY {entity} TO '{path}' (FORMAT parquet)")
    (folder / "manifest.json").write_text(json.dumps({"consent_mapped": False}), encoding="utf-8")
    return folder


def show(name: str, value: float, unit: str) -> None:
    """Print one figure."""
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit}), flush=True)


def speed(folder: Path, customers: int, products: int, lines: int) -> None:
    """Lists for everyone, snapshot to Parquet, and the parts of it."""
    as_of = date(2026, 1, 1)
    with ProcessPoolExecutor(1, get_context("spawn")) as apart:  # its memory is not that of lists
        given = {"customers": customers, "products": products, "lines": lines}
        apart.submit(snapshot, folder, MADE_UP, **given).result()
    card = {"recipe": recommend.Recipe(maker="cosine", neighbours=50).settings()}
    start, core = time.perf_counter(), time.process_time()
    recommend.lists(folder, as_of, card, folder)
    seconds, core_seconds = time.perf_counter() - start, time.process_time() - core
    show("recommend_lists", seconds, "s")
    show("recommend_customers_per_second", customers / seconds, "1/s")
    show("recommend_customers_per_core_second", customers / core_seconds, "1/core-s")
    show("recommend_peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, "GiB")
    start = time.perf_counter()
    data = read(folder, as_of)
    show("recommend_read", time.perf_counter() - start, "s")
    for maker in recommend.MAKERS:
        start = time.perf_counter()
        compile_recipe(recommend.Recipe(maker=maker), data)
        show(f"recommend_build_{maker}", time.perf_counter() - start, "s")


def quality(folder: Path) -> None:
    """The real shop's last 30 days, chosen on the 30 before, beside the baselines."""
    shop = domains.load().lists
    snapshot(folder, REAL, file=ONLINE_RETAIL)
    earlier = trial(folder, date(2011, 7, 12), date(2011, 8, 11))
    recipe = choose(earlier, shop)
    held = trial(folder, date(2011, 8, 11), date(2011, 9, 10))
    made = compile_recipe(recipe, held.data)
    figures = baselines(held, shop)
    figures += judge_explore(held, made, "chosen") + judge_repeat(held, made, "chosen")
    for figure in figures:
        if "history" not in figure.slice:
            show(f"real_{figure.slice}_{figure.method}_{figure.metric}", figure.value, "share")


def main() -> None:
    """Both, in a folder that goes away."""
    with tempfile.TemporaryDirectory() as scratch:
        size = {"customers": 200_000, "products": 2000, "lines": 10}
        speed(
            Path(scratch) / "speed",
            **{name: int(os.environ.get(name.upper()) or usual) for name, usual in size.items()},
        )
        if ONLINE_RETAIL.exists():
            quality(Path(scratch) / "real")


if __name__ == "__main__":
    main()
