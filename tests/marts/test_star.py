"""The dimensions, grids and histories beside the promised views, on rows that can be counted."""

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include import contracts
from tests.marts.test_generations import DAY, publish, work, write
from tests.snapshots import write_snapshot

LATER = DAY + timedelta(days=1)


@pytest.fixture
def db(warehouse_url):
    with psycopg.connect(warehouse_url, autocommit=True) as db:
        yield db


def bought(customer: int, day: str, product: str = "shop:p", quantity: int = 1, price: int = 10):
    return {
        "customer_id": customer,
        "order_id": f"{customer} {day}",
        "product_id": product,
        "ordered_on": day,
        "quantity": quantity,
        "unit_price": price,
    }


def shop(tmp_path: Path, *lines: dict[str, Any], day: date = DAY, **tables: Any) -> Path:
    """The work files of a publish over these order lines; all customers are in segment s1."""
    customers = {line["customer_id"] for line in lines} | {1}
    folder = work(tmp_path, dict.fromkeys(customers, "s1"), day)
    return write_snapshot(folder, order_line=lines, **tables)


def rows(db, query: str) -> list[tuple]:
    return db.execute(query).fetchall()


def test_a_cohort_is_counted_month_by_month_and_an_empty_month_is_a_row(db, tmp_path):
    folder = shop(
        tmp_path,
        bought(1, "2025-12-03"),
        bought(1, "2026-02-28"),
        bought(2, "2025-12-31"),
        bought(2, "2026-01-01", quantity=-1),
        bought(3, "2026-01-15", price=7),
        bought(3, "2026-01-16"),
        bought(4, "2026-03-01"),
    )
    publish(db, folder, "publish/1")  # as of 2026-03-01: customer 4 is not seen
    assert rows(db, "SELECT bool_and(is_complete) FROM bi.cohort_retention") == [(True,)]
    query = """SELECT cohort_month::text, month_number, cohort_customers, customers, retention,
        orders, revenue::int FROM bi.cohort_retention ORDER BY 1, 2"""
    assert rows(db, query) == [
        ("2025-12-01", 0, 2, 2, 1.0, 2, 20),
        ("2025-12-01", 1, 2, 0, 0.0, 0, -10),
        ("2025-12-01", 2, 2, 1, 0.5, 1, 10),
        ("2026-01-01", 0, 1, 1, 1.0, 2, 17),
        ("2026-01-01", 1, 1, 0, 0.0, 0, 0),
    ]


def test_a_month_that_is_not_over_is_marked(db, tmp_path):
    publish(db, shop(tmp_path, bought(1, "2026-02-03"), day=LATER), "publish/1", LATER)
    query = "SELECT cohort_month::text, month_number, is_complete FROM bi.cohort_retention"
    assert rows(db, f"{query} ORDER BY 2") == [("2026-02-01", 0, True), ("2026-02-01", 1, False)]


def test_a_product_that_no_source_lists_any_more_is_a_row_of_its_dimension(db, tmp_path):
    folder = shop(
        tmp_path,
        bought(1, "2026-02-01", "shop:cup"),
        bought(2, "2026-02-02", "shop:cup", quantity=3),
        bought(2, "2026-02-03", "shop:cup", quantity=-1),
        bought(1, "2024-02-01", "shop:cup"),
        bought(1, "2024-02-01", "shop:gone"),
        product=[
            {"product_id": "shop:cup", "name": "Cup"},
            {"product_id": "shop:new", "name": "N"},
        ],
    )
    publish(db, folder, "publish/1")
    query = """SELECT product_id, name, in_stock, buyers_365d, units_365d::int, revenue_365d::int
        FROM bi.dim_product ORDER BY 1"""
    assert rows(db, query) == [
        ("shop:cup", "Cup", True, 2, 3, 30),
        ("shop:gone", "shop:gone", False, 0, 0, 0),
        ("shop:new", "N", True, 0, 0, 0),
    ]


def test_the_rfm_grid_has_25_fields_whose_shares_add_up(db, tmp_path):
    folder = work(tmp_path, {1: "s1", 2: "s1", 3: "s1"})
    members = [
        {"customer_id": 1, "rfm_code": "555"},
        {"customer_id": 2, "rfm_code": "551"},
        {"customer_id": 3, "rfm_code": None},
    ]
    filled = [{"segment_key": "s1", "segment_name": "s1", **member} for member in members]
    write(folder / "customer_segment.parquet", "customer_segment", filled)
    publish(db, folder, "publish/1")
    query = """SELECT recency, frequency, customers, customer_share, revenue::int, revenue_share
        FROM bi.rfm_grid WHERE customers > 0"""
    assert rows(db, query) == [(5, 5, 2, 1.0, 20, 1.0)]
    assert rows(db, "SELECT count(*) FROM bi.rfm_grid") == [(25,)]


def test_recommended_products_are_counted_by_list_and_place(db, tmp_path):
    folder = shop(
        tmp_path,
        bought(1, "2026-02-01"),
        bought(2, "2026-02-01"),
        product=[{"product_id": p, "name": p, "category": "c"} for p in ("shop:p", "shop:q")],
    )
    lists = [
        (1, "explore", 1, "shop:p"), (1, "explore", 2, "shop:q"),
        (2, "explore", 1, "shop:q"), (2, "repeat", 1, "shop:p"),
    ]  # fmt: skip
    names = ("customer_id", "list", "rank", "product_id")
    write(
        folder / "recommendation.parquet",
        "recommendation",
        [dict(zip(names, row, strict=True)) for row in lists],
    )
    publish(db, folder, "publish/1")
    query = """SELECT list, product_id, category, customers, first_place_customers, mean_rank
        FROM bi.recommended_product ORDER BY 1, 2"""
    assert rows(db, query) == [
        ("explore", "shop:p", "c", 1, 1, 1.0),
        ("explore", "shop:q", "c", 2, 1, 1.5),
        ("repeat", "shop:p", "c", 1, 1, 1.0),
    ]


REASONS = [  # code, because, orders, gap: in English, in Chinese
    ("bought", "shop:q", None, None, "because you bought Quill", "因为您买过 Quill"),
    ("like_bought", "shop:q", None, None, "like Quill, which you bought", "与您买过的 Quill 相似"),
    (
        *("alike_customers", "shop:q", None, None),
        *("customers like you, who bought Quill, buy it", "与您相似、也买过 Quill 的顾客会买"),
    ),
    (
        *("popular_segment", None, None, None),
        *("popular of late in your segment", "近期在您所属的客户群中热销"),
    ),
    (
        *("popular_country", None, None, None),
        *("popular of late in your country", "近期在您所在的国家热销"),
    ),
    ("popular", None, None, None, "popular of late", "近期热销"),
    ("popular_ever", None, None, None, "popular over all time", "长期热销"),
    ("in_range", None, None, None, "also in the range", "同样在售"),
    ("bought_before", "shop:p", 1, None, "bought once", "买过一次"),
    (
        *("bought_before", "shop:p", 1, 1),
        *("bought once, due 1 day after the last", "买过一次，上次之后约 1 天再次需要"),
    ),
    (
        *("bought_before", "shop:p", 4, 30),
        *(
            "bought in 4 orders, due 30 days after the last",
            "4 个订单买过，上次之后约 30 天再次需要",
        ),
    ),
]


def test_the_view_puts_each_reason_into_words_in_english_and_chinese(db, tmp_path):
    folder = shop(
        tmp_path,
        bought(1, "2026-02-01"),
        product=[
            {"product_id": "shop:p", "name": "Pen"},
            {"product_id": "shop:q", "name": "Quill"},
        ],
    )
    names = ("reason_code", "because_product_id", "orders", "gap_days")
    write(
        folder / "recommendation.parquet",
        "recommendation",
        [
            {"customer_id": 1, "list": "explore", "rank": n, "product_id": "shop:p"}
            | dict(zip(names, row[:4], strict=True))
            for n, row in enumerate(REASONS, 1)
        ],
    )
    publish(db, folder, "publish/1")
    query = """SELECT product_name, reason_code, because_product_id, orders, gap_days, reason,
        reason_zh FROM bi.recommendation ORDER BY rank"""
    assert rows(db, query) == [("Pen", *row) for row in REASONS]
    codes = contracts.load("mart.recommendation").columns
    (code,) = [column for column in codes if column.name == "reason_code"]
    assert {row[0] for row in REASONS} == set(code.values)


def test_a_pinned_generation_shows_its_own_recommendations(db, tmp_path):
    for number, (day, product) in enumerate([(DAY, "shop:p"), (LATER, "shop:q")], 1):
        folder = shop(tmp_path, bought(1, "2026-02-01", product), day=day)
        listed = {"customer_id": 1, "list": "repeat", "rank": 1, "product_id": product, "orders": 1}
        write(folder / "recommendation.parquet", "recommendation", [listed])
        publish(db, folder, f"publish/{number}", day)
    query = "SELECT generation, product_id, product_name FROM bi.recommendation"
    assert rows(db, query) == [(2, "shop:q", "shop:q")]
    db.execute("SET portrait.generation = 1")
    assert rows(db, query) == [(1, "shop:p", "shop:p")]


def test_a_product_names_the_channels_it_was_bought_by_in_the_last_year(db, tmp_path):
    folder = shop(
        tmp_path,
        bought(1, "2026-02-01"), bought(2, "2026-02-02"), bought(3, "2024-02-02"),
        bought(4, "2026-02-03", "shop:q"),
        customer_order=[
            {"order_id": "1 2026-02-01", "customer_id": 1, "channel": "web"},
            {"order_id": "2 2026-02-02", "customer_id": 2, "channel": "shop"},
            {"order_id": "3 2024-02-02", "customer_id": 3, "channel": "fax"},
            {"order_id": "4 2026-02-03", "customer_id": 4},
        ],
    )  # fmt: skip
    publish(db, folder, "publish/1")
    query = "SELECT product_id, channels FROM bi.dim_product ORDER BY 1"
    assert rows(db, query) == [("shop:p", "shop, web"), ("shop:q", None)]


def test_a_customer_is_one_row_of_the_star_with_segment_scores_and_value(db, tmp_path):
    folder = work(tmp_path, {1: "s1", 2: "s1"})
    scores = [
        {"customer_id": 1, "model": "churn", "decile": 3},
        {"customer_id": 1, "model": "purchase", "decile": 7},
    ]
    write(folder / "customer_score.parquet", "customer_score", scores)
    values = [{"customer_id": 1, "expected_revenue_365d": 99.5}]
    write(folder / "customer_value.parquet", "customer_value", values)
    publish(db, folder, "publish/1")
    query = """SELECT customer_id, segment_key, revenue, churn_decile, purchase_decile,
        expected_revenue_365d FROM bi.dim_customer ORDER BY 1"""
    ten = Decimal(10)
    assert rows(db, query) == [(1, "s1", ten, 3, 7, 99.5), (2, "s1", ten, None, None, None)]


def test_segments_and_metrics_keep_each_published_day(db, tmp_path):
    publish(db, work(tmp_path, {1: "s1", 2: "s1", 3: "s2"}), "publish/1")
    publish(db, work(tmp_path, {1: "s1", 2: "s2"}, LATER), "publish/2", LATER)
    size = (
        "SELECT as_of, segment_key, customers, revenue::int FROM bi.segment_history ORDER BY 1, 2"
    )
    assert rows(db, size) == [
        (DAY, "s1", 2, 20), (DAY, "s2", 1, 10), (LATER, "s1", 1, 10), (LATER, "s2", 1, 10),
    ]  # fmt: skip
    kpi = """SELECT as_of, label, value, previous_as_of, previous_value, change::numeric(4, 2)
        FROM bi.kpi WHERE metric = 'customers' ORDER BY 1"""
    assert rows(db, kpi) == [
        (DAY, "Customers", 3, None, None, None),
        (LATER, "Customers", 2, DAY, 3, Decimal("-0.33")),
    ]


def test_a_day_published_again_is_one_day_of_the_history(db, tmp_path):
    publish(db, work(tmp_path, {1: "s1", 2: "s1"}), "publish/1")
    publish(db, work(tmp_path, {1: "s2"}), "publish/2")
    assert rows(db, "SELECT as_of, segment_key, customers FROM bi.segment_history") == [
        (DAY, "s2", 1)
    ]
    assert rows(db, "SELECT value, generation FROM bi.kpi WHERE metric = 'customers'") == [(1, 2)]


def test_events_tell_who_entered_and_left_a_segment_and_who_became_one(db, tmp_path):
    publish(db, work(tmp_path, {1: "s1", 2: "s1"}), "publish/1")
    publish(db, work(tmp_path, {1: "s1", 3: "s2"}, LATER), "publish/2", LATER)
    db.execute(
        """INSERT INTO core.identity_event VALUES
               ('2026-03-02 10:00+00', 'merged', 2, 1, 1, 'same e-mail', 'profile/1')"""
    )
    query = """SELECT happened_on, event, customer_id, segment_key, other_customer_id, detail
        FROM bi.event ORDER BY 1, 2, 3"""
    assert rows(db, query) == [
        (DAY, "segment_entered", 1, "s1", None, None),
        (DAY, "segment_entered", 2, "s1", None, None),
        (LATER, "identity_merged", 2, None, 1, "same e-mail"),
        (LATER, "segment_entered", 3, "s2", None, None),
        (LATER, "segment_left", 2, "s1", None, None),
    ]


def test_another_rfm_group_in_the_same_segment_is_no_event(db, tmp_path):
    for day, group in ((DAY, "loyal"), (LATER, "at_risk")):
        folder = work(tmp_path, {1: "s1"}, day)
        member = {"customer_id": 1, "segment_key": "s1", "segment_name": "s1", "rfm_segment": group}
        write(folder / "customer_segment.parquet", "customer_segment", [member])
        publish(db, folder, f"publish/{day}", day)
    assert rows(db, "SELECT happened_on, event FROM bi.event") == [(DAY, "segment_entered")]


def test_every_key_of_the_migration_leads_to_a_segment_of_the_dimension(db, tmp_path):
    publish(db, work(tmp_path, {1: "s1", 2: "s9"}), "publish/1")
    publish(db, work(tmp_path, {1: "s1", 3: "s1"}, LATER), "publish/2", LATER)
    query = (
        "SELECT segment_key, name, status, first_as_of, last_as_of FROM bi.dim_segment ORDER BY 1"
    )
    assert rows(db, query) == [
        ("(gone)", "not customers any more", "none", None, None),
        ("(new)", "new customers", "none", None, None),
        ("s1", "s1", "current", DAY, LATER),
        ("s9", "s9", "former", DAY, DAY),
    ]
    orphans = """SELECT from_key, to_key FROM bi.segment_migration
        WHERE from_key NOT IN (SELECT segment_key FROM bi.dim_segment)
        OR to_key NOT IN (SELECT segment_key FROM bi.dim_segment)"""
    assert rows(db, orphans) == []


def test_the_calendar_knows_weeks_and_weekends(db):
    query = """SELECT date_key, iso_year, iso_week, week_start, weekday_name, is_weekend
        FROM bi.dim_date WHERE date = '2027-01-03'"""
    assert rows(db, query) == [(20270103, 2026, 53, date(2026, 12, 28), "Sunday", True)]


@pytest.mark.parametrize("view", ["customer_profile", "recommendation", "dim_customer"])
def test_a_report_that_pins_a_generation_reads_its_partition_alone(db, tmp_path, view):
    for number in (1, 2, 3):
        publish(db, work(tmp_path, {1: "s1"}), f"publish/{number}")
    db.execute("SET portrait.generation = 2")
    assert rows(db, "SELECT DISTINCT generation FROM bi.segment") == [(2,)]
    plan = rows(db, f"EXPLAIN (ANALYZE, COSTS off, TIMING off) SELECT * FROM bi.{view}")
    scans = [line for (line,) in plan if f" on {view}__g" in line]
    assert [line for line in scans if "never executed" not in line] == [
        line for line in scans if f"{view}__g2" in line
    ]
    assert len(scans) == 3


STALE = "SELECT is_stale, stale_reason FROM bi.freshness"


def test_an_ingest_that_failed_or_is_overdue_is_shown(db, tmp_path):
    publish(db, work(tmp_path, {1: "s1"}), "publish/1")
    assert rows(db, STALE) == [(False, None)]
    db.execute("UPDATE ops.generation SET sources = '{shop,till}'")
    db.execute(
        """INSERT INTO ops.pipeline_run
               (run_id, recorded_at, dag, status, started_at, message, next_run_at) VALUES
           ('ingest_shop/1', now(), 'ingest_shop', 'failed', now(), 'no connection', NULL),
           ('ingest_till/1', now(), 'ingest_till', 'success', now(), NULL, '2026-03-01 02:00+00'),
           ('ingest_old/1', now(), 'ingest_old', 'failed', now(), 'not on any more', NULL)"""
    )
    assert rows(db, STALE) == [(
        True,
        "ingest_shop failed: no connection; "
        "ingest_till was due at 2026-03-01 02:00 and has not run",
    )]  # fmt: skip


def test_a_rollback_is_shown_until_the_next_publish(db, tmp_path):
    from include.marts import generations

    for number in (1, 2):
        publish(db, work(tmp_path, {1: "s1"}), f"publish/{number}")
    generations.rollback(db, run_id="rollback/1")
    assert rows(db, STALE) == [(True, "BI was rolled back from generation 2")]
    publish(db, work(tmp_path, {1: "s1"}), "publish/3")
    assert rows(db, STALE) == [(False, None)]
