"""The demo CRM: the same again for the same seed, true to what was planted, and it moves on."""

import hashlib
import json
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import psycopg
import pytest
from psycopg import sql

from include import contracts, sources
from include.errors import InputError
from include.local import crm
from include.local.crm import tables, truth
from include.local.crm.world import Plan

LAST_DAY = date(2026, 2, 28)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
SMALL = {"customers": 300, "days": 200, "last_day": LAST_DAY}


def fingerprint(shop: psycopg.Connection, support: Path) -> dict[str, str]:
    """A hash of the rows of each table, in the order of their text."""
    prints = {}
    for name in tables.SHOP:
        query = sql.SQL("SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {} AS t")
        (prints[name],) = shop.execute(query.format(sql.Identifier(name))).fetchone()
    with closing(sqlite3.connect(support)) as desk:
        for name in tables.SUPPORT:
            rows = sorted(map(repr, desk.execute(f"SELECT * FROM {name}")))
            prints[name] = hashlib.md5("|".join(rows).encode(), usedforsecurity=False).hexdigest()
    return prints


def column(shop: psycopg.Connection, query: str) -> list:
    return [row[0] for row in shop.execute(query).fetchall()]


def test_the_same_seed_gives_the_same_rows_and_another_does_not(postgres_database, tmp_path):
    support = tmp_path / "support.sqlite"
    prints = []
    for seed in (7, 7, 8):
        crm.generate(postgres_database, support, seed=seed, **SMALL)
        prints.append(fingerprint(postgres_database, support))
    assert prints[0] == prints[1]
    assert all(prints[0][name] != prints[2][name] for name in prints[0])


def test_there_are_as_many_customers_as_asked_for_and_orders_on_the_last_day(
    postgres_database, tmp_path
):
    for customers in (1, 77):
        counts = crm.generate(
            postgres_database,
            tmp_path / "s",
            customers=customers,
            days=60,
            last_day=LAST_DAY,
        )
        assert counts["customers"] == customers
        newest = "SELECT max(ordered_at)::date FROM orders WHERE order_no LIKE 'W0%'"
        assert column(postgres_database, newest) == [LAST_DAY]


def test_customers_that_cannot_be_are_refused_in_one_line(postgres_database, tmp_path):
    with pytest.raises(InputError, match=r"^CUSTOMERS 0: give a number from 1 to 1000000$"):
        crm.generate(postgres_database, tmp_path / "s", customers=0, last_day=LAST_DAY)


def test_everything_is_marked_as_invented(postgres_database, tmp_path):
    crm.generate(postgres_database, tmp_path / "s", **SMALL)
    unmarked = """SELECT id FROM customers WHERE last_name NOT LIKE '%-Demo'
        OR phone NOT LIKE '+1 555 %' OR street NOT LIKE '%Demo%'
        OR email ~ '@'
        AND email !~ '@(example\\.(com|org|net)|(mail|staff)\\.example|test|none)$'"""
    assert column(postgres_database, unmarked) == []
    assert tables.remark(postgres_database).startswith("Demo data: everyone")


def test_nothing_is_stamped_later_than_now(postgres_database, tmp_path):
    noon = datetime(2026, 2, 28, 12, tzinfo=UTC)
    crm.generate(postgres_database, tmp_path / "s", now=noon, **SMALL)
    assert column(postgres_database, "SELECT max(updated_at) FROM order_lines") == [noon]


def test_days_one_by_one_and_at_once_are_the_same(postgres_database, tmp_path):
    support, prints = tmp_path / "support.sqlite", []
    for steps in ([1, 1], [2]):
        crm.generate(postgres_database, support, **SMALL)
        for days in steps:
            crm.further_days(postgres_database, support, days=days, seed=3, now=NOW)
        prints.append(fingerprint(postgres_database, support))
    assert prints[0] == prints[1]


def test_a_further_day_inserts_updates_and_deletes_softly_and_hard(postgres_database, tmp_path):
    support = tmp_path / "support.sqlite"
    crm.generate(postgres_database, support, **SMALL)
    before = fingerprint(postgres_database, support)
    counts = crm.further_days(postgres_database, support, days=2, now=NOW)
    after = fingerprint(postgres_database, support)
    assert {name for name in before if before[name] == after[name]} <= {"campaign_answers", "mails"}
    for change in (
        *("orders", "order_lines", "customers changed", "customers deleted", "order_lines deleted"),
        *("products changed", "products removed", "accounts removed", "feedback removed"),
        *("tickets deleted", "consents changed"),
    ):
        assert counts[change] > 0, change
    changed = """SELECT count(*) FROM orders
        WHERE updated_at = '2026-06-01Z' AND ordered_at < '2026-03-01Z'"""
    assert column(postgres_database, changed)[0] > 0
    newest = "SELECT max(ordered_at)::date FROM orders"
    assert column(postgres_database, newest) == [date(2026, 3, 2)]


def test_days_cannot_pass_in_a_shop_that_is_not_the_demos(postgres_database, tmp_path):
    with pytest.raises(InputError, match=r"^shop: not made by the demo generator"):
        crm.further_days(postgres_database, tmp_path / "s", days=1)


@pytest.fixture(scope="module")
def planted(
    lasting_database, tmp_path_factory
) -> tuple[dict, pd.DataFrame, pd.DataFrame, psycopg.Connection]:
    """(summary, persons, records, shop) of a world large enough for its bounds to settle."""
    folder = tmp_path_factory.mktemp("planted")
    crm.generate(
        lasting_database,
        folder / "support.sqlite",
        customers=3000,
        last_day=LAST_DAY,
        truth=folder / "truth.json",
    )
    tables = [pd.read_parquet(folder / f"truth.{name}.parquet") for name in ("person", "record")]
    return json.loads((folder / "truth.json").read_text()), *tables, lasting_database


def test_the_best_reachable_scores_are_good_but_not_perfect(planted):
    bounds = planted[0]["bounds"]
    assert 0.75 <= bounds["lapse_auc_from_orders"] < bounds["lapse_auc"] <= 0.90
    assert 0.90 <= bounds["match_recall"] < 1
    assert 0.5 < bounds["segment_accuracy"] < 0.95
    assert 0.4 < bounds["next_year_orders_rank_correlation"] < 0.95


def test_the_planted_chances_are_calibrated(planted):
    persons = planted[1][planted[1]["orders"] > 0]
    for chance in ("lapse_chance", "lapse_chance_from_orders"):
        assert persons[chance].mean() == pytest.approx(persons["lapsed"].mean(), abs=0.03)
    expected = persons["orders_next_year_expected"].mean()
    assert expected == pytest.approx(persons["orders_next_year"].mean(), rel=0.05)


def test_the_truth_agrees_with_the_rows(planted):
    summary, persons, records, shop_db = planted
    shop = records[records["source"] == "shop"]
    assert set(shop["source_id"]) == set(column(shop_db, "SELECT id::text FROM customers"))
    purchases = "SELECT customer_id::text FROM orders WHERE order_no ~ '[0-9]$'"
    ordered = pd.Series(column(shop_db, purchases))
    owner = shop.set_index("source_id")["person"]
    dirty = summary["dirt"]["set_aside"]["customer_order"]
    counts = ordered.map(owner).value_counts().reindex(persons["person"], fill_value=0)
    counts.loc[1] -= sum(dirty.values())
    assert counts.tolist() == persons["orders"].tolist()


def test_what_happens_later_is_what_was_planted(postgres_database, tmp_path):
    support, truth = tmp_path / "support.sqlite", tmp_path / "truth.json"
    crm.generate(postgres_database, support, truth=truth, **SMALL)
    crm.further_days(postgres_database, support, days=5, now=NOW)
    later = """SELECT DISTINCT customer_id::text FROM orders
        WHERE ordered_at >= '2026-03-01Z' AND order_no ~ '^W0.*[0-9]$'"""
    records = pd.read_parquet(tmp_path / "truth.record.parquet")
    owner = records[records["source"] == "shop"].set_index("source_id")["person"]
    buyers = pd.Series(column(postgres_database, later)).map(owner).dropna()
    persons = pd.read_parquet(tmp_path / "truth.person.parquet").set_index("person")
    assert len(buyers) > 5
    assert not persons.loc[buyers, "lapsed"].any()


def test_partners_join_the_basket_as_often_as_planted(planted):
    summary, _, _, shop = planted
    lines = pd.DataFrame(
        shop.execute("SELECT order_no, product_code FROM order_lines WHERE order_no ~ '[0-9]$'"),
        columns=["order_no", "product"],
    )
    bought = lines.merge(pd.DataFrame(summary["pairs"]), on="product")
    there = lines.rename(columns={"product": "partner"}).assign(joined=True)
    baskets = bought.merge(there, on=["order_no", "partner"], how="left")
    assert len(baskets) > 1000
    # a few customers buy most of the baskets of a pair: six seeds were off by -.025 to +.011
    assert baskets["joined"].notna().mean() == pytest.approx(baskets["share"].mean(), abs=0.05)


def test_the_dirt_is_counted(planted):
    summary, _, _, shop = planted
    dirt = summary["dirt"]["set_aside"]
    odd = "SELECT count(*) FROM products WHERE price < 0 OR price = 'NaN'"
    assert column(shop, odd) == [sum(dirt["product"].values())]
    odd = """SELECT count(*) FROM order_lines
        WHERE unit_price = 'NaN' OR ordered_at IS NULL OR product_code IS NULL"""
    assert column(shop, odd) == [sum(dirt["order_line"].values())]
    odd = "SELECT count(*) FROM orders WHERE ordered_at IS NULL OR status = 'zz_legacy'"
    assert column(shop, odd) == [sum(dirt["customer_order"].values())]


def test_the_areas_under_the_curve_are_counted_by_ranks():
    label = pd.Series([True, False, True, False]).to_numpy()
    assert truth._auc(label, pd.Series([4, 3, 2, 1]).to_numpy()) == 0.75
    assert truth._auc(label, pd.Series([1, 1, 1, 1]).to_numpy()) == 0.5
    assert truth._auc(label[:1], pd.Series([1]).to_numpy()) is None


def test_no_two_people_share_a_scrambled_number():
    from include.local.crm.people import scrambled

    number = pd.Series(range(1, 1_000_000, 7)).to_numpy()
    assert len(set(scrambled(number).tolist())) == len(number)
    assert Plan(100, 10, LAST_DAY, 7).persons == 98


@pytest.mark.parametrize("name", ["shop", "support"])
def test_every_mapping_reads_the_generated_databases(name, postgres_database, tmp_path):
    support = tmp_path / "support.sqlite"
    crm.generate(postgres_database, support, **SMALL)
    source = sources.load(name)
    sources.check_read_only(source, {"shop": "postgres", "support": "sqlite"}[name])
    with closing(sqlite3.connect(support)) as desk:
        database = {"shop": postgres_database, "support": desk}[name]
        for entity_name, entity in source.entities.items():
            cursor = database.execute(f"SELECT * FROM ({entity.select}) AS q")
            given, rows = [part[0] for part in cursor.description], cursor.fetchall()
            keys = [row[given.index("source_id")] for row in rows]
            required = {
                c.name for c in contracts.load(f"landing.{entity_name}").own_columns if c.required
            }
            promised = {entity.cursor} if entity.cursor else set()
            promised |= set(entity.pass_through)
            promised |= {entity.deletes.column} if not isinstance(entity.deletes, str) else set()
            assert required | promised <= set(given), entity_name
            assert len(keys) == len(set(keys)) > 0, entity_name
