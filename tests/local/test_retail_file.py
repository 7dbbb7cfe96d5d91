"""A real shop from a file in the Online Retail layout."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from include.errors import InputError
from include.local import retail_file

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"


def written(folder: Path, *lines: str) -> Path:
    path = folder / "shop.csv"
    path.write_text(HEADER + "\n".join(lines) + "\n")
    return path


def rows(shop, query: str) -> list[tuple]:
    return shop.execute(query).fetchall()


def desk_rows(support: Path, query: str) -> list[tuple]:
    with closing(sqlite3.connect(support)) as desk:
        return desk.execute(query).fetchall()


def test_every_line_lands_at_its_position_with_every_digit(postgres_database, tmp_path):
    path = written(
        tmp_path,
        "1001,10001,A CUP ,6,2011-03-01 08:26:00,2.55,7,United Kingdom",
        "1001,10001,A CUP ,6,2011-03-01 08:26:00,2.55,7,United Kingdom",
        "A1002,B,Adjust,1,2011-03-01 09:00:00,-11062.06,,United Kingdom",
        "1003,10002,,-5,2011-03-02 09:00:00,0.001,,United Kingdom",
    )
    counts = retail_file.load(path, postgres_database, tmp_path / "support")
    assert counts["order_lines"] == 4
    query = """SELECT order_no, line_no, product_code, quantity, unit_price, customer_id
        FROM order_lines ORDER BY line_no"""
    assert rows(postgres_database, query) == [
        ("1001", 1, "10001", Decimal("6"), Decimal("2.55"), 7),
        ("1001", 2, "10001", Decimal("6"), Decimal("2.55"), 7),
        ("A1002", 3, "B", Decimal("1"), Decimal("-11062.06"), None),
        ("1003", 4, "10002", Decimal("-5"), Decimal("0.001"), None),
    ]


def test_a_cancelled_invoice_lands_and_is_one_ticket(postgres_database, tmp_path):
    path = written(
        tmp_path,
        "1001,10001,CUP,6,2011-06-01 08:26:00,2.5,7,France",
        "C1002,10001,CUP,-2,2011-06-02 10:00:00,2.5,7,France",
        "C1002,10002,MUG,-1,2011-06-02 10:00:00,3,7,France",
        "C1003,10002,MUG,-1,2011-06-03 10:00:00,3,,France",
    )
    support = tmp_path / "support"
    retail_file.load(path, postgres_database, support)
    assert rows(postgres_database, "SELECT order_no, status, total FROM orders ORDER BY 1") == [
        ("1001", "invoiced", Decimal("15.0")),
        ("C1002", "credited", Decimal("-8.0")),
        ("C1003", "credited", Decimal("-3")),
    ]
    assert desk_rows(support, "SELECT ticket_no, account_no, opened FROM tickets ORDER BY 1") == [
        ("C1002", "7", "2011-06-02 09:00:00"),
        ("C1003", None, "2011-06-03 09:00:00"),
    ]
    assert desk_rows(support, "SELECT account_no, member_no FROM accounts") == [("7", "7")]
    assert rows(postgres_database, "SELECT id, member_no FROM customers") == [(7, "7")]


def test_british_time_is_kept_through_both_changes_of_the_clock(postgres_database, tmp_path):
    path = written(
        tmp_path,
        "1,10001,CUP,1,2011-01-10 12:00:00,1,7,France",
        "2,10001,CUP,1,2011-07-10 12:00:00,1,7,France",
        "3,10001,CUP,1,2011-03-27 01:30:00,1,7,France",
        "4,10001,CUP,1,2011-10-30 01:30:00,1,7,France",
    )
    retail_file.load(path, postgres_database, tmp_path / "support")
    assert rows(postgres_database, "SELECT ordered_at FROM orders ORDER BY order_no") == [
        (datetime(2011, 1, 10, 12, tzinfo=UTC),),
        (datetime(2011, 7, 10, 11, tzinfo=UTC),),
        (datetime(2011, 3, 27, 1, tzinfo=UTC),),
        (datetime(2011, 10, 30, 0, 30, tzinfo=UTC),),
    ]


def test_a_product_has_its_most_frequent_name_or_its_code(postgres_database, tmp_path):
    path = written(
        tmp_path,
        "1,10001a,CUP ,1,2011-01-10 12:00:00,1,7,France",
        "2,10001a,CUP,1,2011-01-10 12:00:00,1,7,France",
        "3,10001a,damaged,1,2011-01-10 12:00:00,1,7,France",
        "4,10001A,,1,2011-01-10 12:00:00,1,7,France",
    )
    retail_file.load(path, postgres_database, tmp_path / "support")
    assert rows(postgres_database, 'SELECT code, name FROM products ORDER BY code COLLATE "C"') == [
        ("10001A", "10001A"),
        ("10001a", "CUP"),
    ]


def test_a_customer_lives_in_the_latest_country(postgres_database, tmp_path):
    path = written(
        tmp_path,
        "2,10001,CUP,1,2011-02-10 12:00:00,1,7,Spain",
        "1,10001,CUP,1,2011-01-10 12:00:00,1,7,France",
    )
    retail_file.load(path, postgres_database, tmp_path / "support")
    query = "SELECT id, country, email, created_at, birth_date FROM customers"
    assert rows(postgres_database, query) == [(7, "Spain", None, None, None)]


def test_codes_that_are_no_goods_are_told_from_those_that_are():
    goods = ["85123A", "71053", "10001a", "84997bl", "DCGS0076", "DCGSSGIRL", "DCGS0066P"]
    other = ["POST", "DOT", "M", "m", "C2", "D", "S", "B", "PADS", "CRUK", "AMAZONFEE"]
    other += ["BANK CHARGES", "gift_0001_20", "1234", "123456"]
    matched = pd.Series(goods + other).str.match(retail_file.PRODUCT_CODE)
    assert matched.tolist() == [True] * len(goods) + [False] * len(other)


def test_the_published_csv_is_read_with_its_dates_and_letters(postgres_database, tmp_path):
    path = tmp_path / "latin.csv"
    line = "1,10001,GIFT £20,1,12/13/2010 8:26,1,7,France\n"
    path.write_bytes((HEADER + line).encode("latin-1"))
    retail_file.load(path, postgres_database, tmp_path / "support")
    query = "SELECT ordered_at, name FROM order_lines JOIN products ON code = product_code"
    moment = datetime(2010, 12, 13, 8, 26, tzinfo=UTC)
    assert rows(postgres_database, query) == [(moment, "GIFT £20")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "shop.csv: no column InvoiceNo, StockCode, .*; it needs InvoiceNo"),
        (HEADER + ",1,CUP,1,2011-01-10 12:00,1,7,France\n", "shop.csv: 1 lines without InvoiceNo"),
        (HEADER + "1,1,CUP,1,yesterday,1,7,France\n", "shop.csv: InvoiceDate 'yesterday' cannot"),
        ("", "shop.csv: neither Parquet nor CSV"),
    ],
)
def test_another_layout_is_refused_in_one_line(content, message, postgres_database, tmp_path):
    path = tmp_path / "shop.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=f"^{message}") as caught:
        retail_file.load(path, postgres_database, tmp_path / "support")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_said_so(postgres_database, tmp_path):
    with pytest.raises(InputError, match=r"^DATA .*none.csv: no such file"):
        retail_file.load(tmp_path / "none.csv", postgres_database, tmp_path / "support")


def test_the_public_file_lands_whole(postgres_database, tmp_path, shared_data):
    path = shared_data("online_retail/online_retail.parquet")
    support = tmp_path / "support"
    counts = retail_file.load(path, postgres_database, support)
    assert {name: count for name, count in counts.items() if count} == {
        "customers": 3412,
        "products": 3823,
        "orders": 17086,
        "order_lines": 334054,
        "accounts": 1211,
        "tickets": 2624,
    }
    sums = "SELECT sum(quantity * unit_price), sum(quantity) FROM order_lines"
    assert rows(postgres_database, sums) == [(Decimal("6013039.542"), Decimal("3226675"))]
    others = "SELECT count(*) FROM products WHERE NOT is_product"
    assert rows(postgres_database, others) == [(17,)]
    assert desk_rows(support, "SELECT count(account_no) FROM tickets") == [(2496,)]
