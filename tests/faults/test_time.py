"""Times that are equal, late, ahead, missing, or shown twice by a clock: F12, F15 to F18, F36."""

import hashlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from include import landing, snapshot
from tests.faults import crms, oracle
from tests.faults.crms import GOODS, STAMPED, TICKET, landed, load, set_aside
from tests.faults.servers import own_mariadb

databases, warehouse = crms.databases(), crms.warehouse()
crm = crms.fixture("postgres", "mysql", "sqlite")
postgres = crms.fixture("postgres")
sqlite = crms.fixture("sqlite")


@pytest.fixture
def goods(crm):
    """An empty table of goods that say when they changed."""
    crm.create("goods", sku="key", title="text", price="money", changed="moment")
    return crm


TRUTH = STAMPED["select"].replace("changed FROM", "changed AS changed_at FROM")


def assert_all_landed(crm, warehouse) -> None:
    oracle.assert_same(oracle.read(crm.db, TRUTH), warehouse, source="crm", entity="product")


@pytest.mark.parametrize("undated", [0, 20])
@pytest.mark.fault("F12", how="fifty rows of one time, twenty more without, in batches of seven")
def test_f12_rows_of_one_time_are_neither_lost_nor_doubled_by_batches(undated, goods, warehouse):
    stamp = crms.ago(hours=2)
    goods.add("goods", *((f"k{n:02d}", f"Thing {n}", n, stamp) for n in range(50)))
    if undated:
        goods.add("goods", *((f"u{n:02d}", f"Thing {n}", n, None) for n in range(undated)))
    loaded = load(warehouse, STAMPED, batch_rows=7)
    assert (loaded.read, loaded.inserted, loaded.quarantined) == (50 + undated, 50 + undated, 0)
    assert crms.ledger(warehouse, "parts") >= 8
    assert_all_landed(goods, warehouse)
    goods.run("UPDATE goods SET title = 'new' WHERE changed IS NULL")
    goods.add("goods", *((f"n{n:02d}", "new", n, crms.ago()) for n in range(15)))
    again = load(warehouse, STAMPED, run_id="r2", batch_rows=7)
    assert (again.inserted, again.updated) == (15, undated)
    assert_all_landed(goods, warehouse)


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.fault(
    "F12", how="keys that differ by case, accents and blanks at the edges of batches"
)
def test_f12_no_key_is_lost_at_an_edge_where_the_source_sorts_otherwise(size, goods, warehouse):
    keys = ["a", "A", "á", "Á", "a ", " a", "ß", "ss", "SS", "B", "b", "10", "9", "-1", "_", "ä"]
    stamp = crms.ago(hours=2)
    goods.add("goods", *((key, f"name of {key!r}", n, stamp) for n, key in enumerate(keys)))
    loaded = load(warehouse, STAMPED, batch_rows=size)
    assert (loaded.inserted, loaded.quarantined) == (len(keys), 0)
    assert_all_landed(goods, warehouse)


@pytest.mark.fault("F12", how="number keys, in batches of seven, without a cursor, swept")
def test_f12_batches_without_a_cursor_read_every_key_and_delete_none(crm, warehouse):
    crm.create("goods", sku="bigint", title="text", price="money")
    crm.add("goods", *((n, f"Thing {n}", 1) for n in range(-5, 35)))
    swept = {**GOODS, "deletes": "sweep"}
    assert load(warehouse, swept, batch_rows=7).inserted == 40
    crm.run("DELETE FROM goods WHERE sku = 30")
    loaded = load(warehouse, swept, run_id="r2", batch_rows=7)
    assert (loaded.read, loaded.inserted, loaded.updated, loaded.deleted) == (39, 0, 0, 1)


@pytest.mark.fault("F12", how="one key three times with one time, across the edge of a batch")
def test_f12_copies_of_a_key_at_an_edge_are_set_aside_not_skipped(goods, warehouse):
    stamp = crms.ago(hours=2)
    goods.add("goods", *(("a", f"copy {n}", n, stamp) for n in range(3)), ("b", "Bread", 1, stamp))
    loaded = load(warehouse, STAMPED, batch_rows=2)
    assert landed(warehouse, "source_id, count(*)::int", "product GROUP BY 1") == [
        ("a", 1),
        ("b", 1),
    ]
    assert (loaded.read, loaded.inserted, loaded.quarantined) == (4, 2, 2)
    assert set_aside(warehouse) == [("a", "duplicate", "source_id")] * 2


@pytest.mark.fault("F12", how="times that differ by a microsecond, in batches of three")
def test_f12_times_a_microsecond_apart_are_told_apart_at_an_edge(goods, warehouse):
    start = datetime.now(UTC) - timedelta(hours=2)
    stamps = [start + timedelta(microseconds=n // 2) for n in range(20)]
    rows = [(f"k{n}", "", n, f"{at:%Y-%m-%d %H:%M:%S.%f}") for n, at in enumerate(stamps)]
    goods.add("goods", *rows)
    assert load(warehouse, STAMPED, batch_rows=3).inserted == 20
    assert_all_landed(goods, warehouse)


DAY_KINDS = {"postgres": "date", "mysql": "date", "sqlite": "text"}


@pytest.mark.fault("F12", how="a cursor of whole days, changed after a load of the same day")
def test_f12_a_cursor_of_days_misses_no_change_of_the_same_day(crm, warehouse):
    crm.create("goods", sku="key", title="text", price="money", changed=DAY_KINDS[crm.dialect])
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    crm.add("goods", ("a", "Apple", 1, today))
    load(warehouse, STAMPED, lookback_minutes=0)
    crm.add("goods", ("b", "Bread", 2, today))
    crm.run("UPDATE goods SET title = 'Apples' WHERE sku = 'a'")
    warehouse.execute("UPDATE ops.watermark SET read_to = read_to + interval '1 second'")
    load(warehouse, STAMPED, run_id="r2", lookback_minutes=0)
    assert landed(warehouse, "source_id, name") == [("a", "Apples"), ("b", "Bread")]


ORDER = {"select": "SELECT id AS source_id, at AS ordered_at, changed FROM bills"}


@pytest.mark.fault("F15", how="orders of the past landed after a snapshot was taken")
def test_f15_old_orders_that_land_later_do_not_change_a_snapshot(crm, warehouse, tmp_path):
    how = {**ORDER, "cursor": "changed"}
    crm.create("bills", id="key", at="moment", changed="moment")
    crm.add("bills", ("a", "2025-01-05 10:00:00", crms.ago(hours=1)))
    load(warehouse, how, "customer_order")
    taken = snapshot.take(warehouse, tmp_path / "snapshots", run_id="first")
    before = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in taken.iterdir()}
    crm.add("bills", ("b", "2025-01-04 10:00:00", crms.ago()))
    assert load(warehouse, how, "customer_order", run_id="r2").inserted == 1
    assert snapshot.take(warehouse, tmp_path / "snapshots", run_id="first") == taken
    after = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in taken.iterdir()}
    assert after == before
    newer = snapshot.take(warehouse, tmp_path / "snapshots", run_id="second")
    orders = [snapshot.manifest(folder)["rows"]["customer_order"] for folder in (taken, newer)]
    assert orders == [1, 2]


@pytest.mark.fault("F16", how="a row stamped one year ahead, rows after it, then its correction")
def test_f16_a_stamp_in_the_future_hides_no_later_row_and_can_be_corrected(goods, warehouse):
    goods.add("goods", ("a", "Apple", 1, crms.ago(days=-365)), ("b", "Bread", 2, crms.ago(hours=1)))
    assert load(warehouse, STAMPED).inserted == 2
    ((ahead,),) = warehouse.execute("SELECT read_to > now() FROM ops.watermark").fetchall()
    assert ahead is False
    goods.add("goods", ("c", "Cake", 3, crms.ago()))
    assert load(warehouse, STAMPED, run_id="r2").inserted == 1
    goods.run(f"UPDATE goods SET title = 'Pear', changed = '{crms.ago()}' WHERE sku = 'a'")
    assert load(warehouse, STAMPED, run_id="r3").updated == 1
    assert landed(warehouse, "source_id, name, changed_at < now()") == [
        ("a", "Pear", True),
        ("b", "Bread", True),
        ("c", "Cake", True),
    ]
    goods.run(f"UPDATE goods SET title = 'Plum', changed = '{crms.ago()}' WHERE sku = 'a'")
    load(warehouse, STAMPED, run_id="r4")
    assert_all_landed(goods, warehouse)


@pytest.mark.parametrize("stamp", ["infinity", "9999-12-31 23:59:59.999999"])
@pytest.mark.fault("F16", how="a stamp at the end of all time")
def test_f16_a_stamp_at_the_end_of_time_stops_no_later_row(stamp, postgres, warehouse):
    postgres.create("goods", sku="key", title="text", price="money", changed="moment")
    postgres.add("goods", ("a", "Apple", 1, stamp), ("b", "Bread", 2, crms.ago(hours=1)))
    load(warehouse, STAMPED)
    assert len(landed(warehouse, "source_id, changed_at")) in {1, 2}  # Python can read what landed
    postgres.add("goods", ("c", "Cake", 3, crms.ago()))
    load(warehouse, STAMPED, run_id="r2")
    postgres.run(f"UPDATE goods SET changed = '{crms.ago()}' WHERE sku = 'a'")
    load(warehouse, STAMPED, run_id="r3")
    assert_all_landed(postgres, warehouse)
    assert set_aside(warehouse) == []


@pytest.mark.fault("F17", how="rows without a stamp, changed and unchanged, over three loads")
def test_f17_rows_without_a_stamp_are_read_each_time_and_counted(goods, warehouse):
    goods.add(
        "goods",
        ("a", "Apple", 1, None),
        ("b", "Bread", 2, None),
        ("c", "Cake", 3, crms.ago(hours=2)),
    )
    assert load(warehouse, STAMPED).inserted == 3
    assert crms.ledger(warehouse, "rows_undated") == 2
    goods.run("UPDATE goods SET title = 'Pear' WHERE sku = 'a'")
    loaded = load(warehouse, STAMPED, run_id="r2")
    assert (loaded.read, loaded.updated) == (2, 1)
    assert crms.ledger(warehouse, "rows_undated", "r2") == 2
    goods.run(f"UPDATE goods SET changed = '{crms.ago()}' WHERE sku = 'a'")
    loaded = load(warehouse, STAMPED, run_id="r3")
    assert (loaded.read, loaded.updated) == (2, 1)
    assert crms.ledger(warehouse, "rows_undated", "r3") == 1
    assert_all_landed(goods, warehouse)


NO_TIME = {"mysql": "0000-00-00 00:00:00", "sqlite": "yesterday"}
loose = crms.fixture("mysql", "sqlite")


@pytest.mark.fault("F17", how="stamps that are no time: MariaDB's zero date, a word in SQLite")
def test_f17_a_stamp_that_is_no_time_counts_as_none(loose, warehouse):
    if loose.dialect == "mysql":
        loose.run("SET sql_mode = ''")
    loose.create("goods", sku="key", title="text", price="money", changed="moment")
    loose.add("goods", ("a", "Apple", 1, NO_TIME[loose.dialect]), ("b", "Bread", 2, crms.ago()))
    assert load(warehouse, STAMPED).inserted == 2
    assert crms.ledger(warehouse, "rows_undated") == 1
    loose.run("UPDATE goods SET title = 'Pear' WHERE sku = 'a'")
    assert load(warehouse, STAMPED, run_id="r2").updated == 1
    assert landed(warehouse, "source_id, name") == [("a", "Pear"), ("b", "Bread")]


@pytest.mark.fault("F18", how="a stamp set back by four minutes, within the lookback of ten")
def test_f18_a_stamp_that_moved_back_within_the_lookback_is_taken_by_the_next_load(
    goods, warehouse
):
    goods.add("goods", ("a", "Apple", 1, crms.ago(minutes=1)))
    load(warehouse, STAMPED)
    goods.run(f"UPDATE goods SET title = 'Pear', changed = '{crms.ago(minutes=5)}'")
    assert load(warehouse, STAMPED, run_id="r2").updated == 1
    assert_all_landed(goods, warehouse)


@pytest.mark.fault("F18", how="a stamp set back by a day, and a row added with an old stamp")
def test_f18_a_reconciliation_finds_what_moved_back_beyond_the_lookback(goods, warehouse):
    goods.add("goods", *((f"k{n:02d}", f"Thing {n}", n, crms.ago(minutes=1)) for n in range(50)))
    load(warehouse, STAMPED)
    goods.run(f"UPDATE goods SET title = 'Pear', changed = '{crms.ago(days=1)}' WHERE sku = 'k07'")
    goods.add("goods", ("old", "Old", 1, crms.ago(days=9)))
    assert load(warehouse, STAMPED, run_id="r2").inserted == 0
    warehouse.commit()
    loaded = landing.reconcile(crms.mapping(STAMPED), "product", warehouse, run_id="r3")
    assert (loaded.inserted, loaded.updated, loaded.deleted) == (1, 1, 0)
    assert crms.ledger(warehouse, "kind", "r3") == "reconcile"
    assert_all_landed(goods, warehouse)
    again = landing.reconcile(crms.mapping(STAMPED), "product", warehouse, run_id="r4")
    assert (again.inserted, again.updated) == (0, 0)


@pytest.mark.fault("F18", how="two key ranges of 256 differ: only these are read again")
def test_f18_a_reconciliation_of_exact_types_reads_only_what_differs(postgres, warehouse):
    postgres.create("goods", sku="key", title="text", price="numeric(14,4)", changed="timestamptz")
    postgres.add("goods", *((f"k{n:03d}", f"Thing {n}", n, crms.ago(days=1)) for n in range(999)))
    load(warehouse, STAMPED)
    postgres.run("UPDATE goods SET price = price + 1 WHERE sku IN ('k000', 'k500')")
    warehouse.commit()
    landing.reconcile(crms.mapping(STAMPED), "product", warehouse, run_id="r2")
    assert crms.ledger(warehouse, "ranges_differing", "r2") == 2
    assert crms.ledger(warehouse, "rows_updated", "r2") == 2
    assert crms.ledger(warehouse, "rows_in", "r2") < 50
    assert_all_landed(postgres, warehouse)


CALL = {
    "select": """SELECT id AS source_id, opened AS opened_at, closed AS closed_at, changed
                 FROM calls""",
    "cursor": "changed",
}
NAIVE = {"postgres": "timestamp", "mysql": "datetime(6)", "sqlite": "text"}
BOTH_NIGHTS = {  # local time in Berlin -> the moment; PostgreSQL takes the later of two
    "2025-03-30 01:59:59": "2025-03-30 00:59:59",
    "2025-03-30 02:30:00": "2025-03-30 01:30:00",  # no clock showed it: as 03:30
    "2025-03-30 03:00:00": "2025-03-30 01:00:00",
    "2025-10-26 01:59:59": "2025-10-25 23:59:59",
    "2025-10-26 02:30:00": "2025-10-26 01:30:00",  # twice: the second time
    "2025-10-26 03:00:00": "2025-10-26 02:00:00",
}


@pytest.mark.fault("F36", how="times without an offset of both nights, as value and as cursor")
def test_f36_local_times_of_both_nights_mean_the_same_in_every_database(crm, warehouse):
    kind = NAIVE[crm.dialect]
    crm.create("calls", id="key", opened=kind, closed=kind, changed=kind)
    crm.add("calls", *((local, local, local, local) for local in BOTH_NIGHTS))
    load(warehouse, CALL, "ticket", time_zone="Europe/Berlin")
    columns = "source_id, opened_at::text, closed_at::text, changed_at::text"
    assert landed(warehouse, columns, "ticket") == [
        (local, *[f"{moment}+00"] * 3) for local, moment in BOTH_NIGHTS.items()
    ]
    again = load(warehouse, CALL, "ticket", run_id="r2", time_zone="Europe/Berlin")
    assert (again.inserted, again.updated) == (0, 0)


@pytest.mark.fault("F36", how="columns of one table in three time zones")
def test_f36_each_column_has_the_zone_that_the_mapping_gives_it(crm, warehouse):
    kind = NAIVE[crm.dialect]
    crm.create("calls", id="key", opened=kind, closed=kind, changed=kind)
    crm.add("calls", ("a", *["2025-10-26 02:30:00"] * 3))
    how = {**CALL, "time_zones": {"closed_at": "UTC", "changed": "America/New_York"}}
    load(warehouse, how, "ticket", time_zone="Europe/Berlin")
    columns = "source_id, opened_at::text, closed_at::text, changed_at::text"
    assert landed(warehouse, columns, "ticket") == [
        ("a", "2025-10-26 01:30:00+00", "2025-10-26 02:30:00+00", "2025-10-26 06:30:00+00")
    ]


NIGHTS = {
    "Europe/Berlin": ("2025-10-26T01:00+00:00", "2025-03-30T01:00+00:00"),
    "America/New_York": ("2025-11-02T06:00+00:00", "2025-03-09T07:00+00:00"),
    "Australia/Lord_Howe": ("2025-04-05T15:00+00:00", "2025-10-04T15:30+00:00"),
}


@pytest.mark.parametrize("zone", NIGHTS)
@pytest.mark.parametrize("night", [0, 1], ids=["overlap", "gap"])
@pytest.mark.fault("F36", how="a watermark anywhere in the night, rows every five minutes after it")
def test_f36_a_watermark_anywhere_in_the_night_loses_no_later_row(zone, night, crm, warehouse):
    shift = datetime.fromisoformat(NIGHTS[zone][night])
    crm.create("goods", sku="key", title="text", price="money", changed=NAIVE[crm.dialect])
    moments = [shift + timedelta(minutes=minutes) for minutes in range(-120, 125, 5)]
    crm.add("goods", *((f"{m:%H:%M}", "", 1, local(m, zone)) for m in moments))
    settings = {"time_zone": zone, "lookback_minutes": 0}
    load(warehouse, STAMPED, **settings)
    for minutes in (-61, -1, 1, 29, 59):
        watermark = shift + timedelta(minutes=minutes)
        warehouse.execute("UPDATE ops.watermark SET read_to = %s", [watermark])
        warehouse.execute("DELETE FROM landing.product")
        load(warehouse, STAMPED, run_id=f"r{minutes}", **settings)
        later = {f"{m:%H:%M}" for m in moments if m >= watermark}
        assert later - {key for key, _ in landed(warehouse, "source_id, 1")} == set(), minutes


def local(moment: datetime, zone: str) -> str:
    return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S}"


@pytest.mark.parametrize("zone", ["+00:00", "+05:30"])
@pytest.mark.fault("F36", how="TIMESTAMP and DATETIME of MariaDB servers in two zones")
def test_f36_timestamps_of_mariadb_do_not_depend_on_the_servers_zone(
    zone, own_server, warehouse, monkeypatch
):
    with own_server.connect() as admin, admin.cursor() as cursor:
        cursor.execute(f"SET GLOBAL time_zone = '{zone}'")
    with crms.mariadb(own_server.url(""), monkeypatch) as crm:
        assert crm.run("SELECT @@session.time_zone") == ((zone,),) or [(zone,)]
        crm.create("calls", id="key", opened="timestamp", closed="datetime", changed="timestamp(6)")
        crm.run("SET time_zone = '+00:00'")
        crm.add("calls", ("a", "2025-10-26 00:30", "2025-10-26 02:30", "2025-10-26 00:30"))
        crm.add("calls", ("b", "2025-10-26 01:30", "2025-10-26 02:30", "2025-10-26 01:30"))
        how = {**CALL, "time_zones": {"opened_at": "UTC", "changed": "UTC"}}
        load(warehouse, how, "ticket", time_zone="Europe/Berlin")
        columns = "source_id, opened_at::text, closed_at::text, changed_at::text"
        assert landed(warehouse, columns, "ticket") == [
            ("a", "2025-10-26 00:30:00+00", "2025-10-26 01:30:00+00", "2025-10-26 00:30:00+00"),
            ("b", "2025-10-26 01:30:00+00", "2025-10-26 01:30:00+00", "2025-10-26 01:30:00+00"),
        ]
        crm.add("calls", ("c", *[crms.ago(minutes=1)] * 3))
        assert load(warehouse, how, "ticket", run_id="r2").inserted == 1


@pytest.fixture(scope="module")
def own_server(tmp_path_factory):
    """A MariaDB server whose time zone may be set."""
    with own_mariadb(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
@pytest.mark.fault("F36", how="PostgreSQL databases whose sessions start in three zones")
def test_f36_times_of_postgresql_do_not_depend_on_the_databases_zone(zone, postgres, warehouse):
    postgres.run(f"ALTER DATABASE {postgres.db.info.dbname} SET timezone = '{zone}'")
    postgres.run(f"ALTER DATABASE {postgres.db.info.dbname} SET datestyle = 'German'")
    postgres.create("calls", id="key", opened="timestamptz", closed="timestamp", changed="date")
    postgres.add("calls", ("a", "2025-10-26 00:30+00", "2025-10-26 02:30", "2025-10-26"))
    load(warehouse, CALL, "ticket", time_zone="Europe/Berlin")
    columns = "source_id, opened_at::text, closed_at::text, changed_at::text"
    assert landed(warehouse, columns, "ticket") == [
        ("a", "2025-10-26 00:30:00+00", "2025-10-26 01:30:00+00", "2025-10-25 22:00:00+00")
    ]


FORMS = [
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S+02:00",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.fault("F36", how="every way in which a SQLite cursor writes its times, in Berlin")
def test_f36_a_change_is_found_however_sqlite_writes_its_times(form, sqlite, warehouse):
    sqlite.create("goods", sku="key", title="text", price="money", changed="text")
    now = datetime.now(UTC)
    zones = {"+02:00": now + timedelta(hours=2), "Z": now}
    written = next((m for end, m in zones.items() if form.endswith(end)), None)
    written = written or now.astimezone(ZoneInfo("Europe/Berlin"))
    sqlite.add("goods", ("a", "Apple", 1, written.strftime(form)))
    settings = {"time_zone": "Europe/Berlin", "lookback_minutes": 2}
    load(warehouse, STAMPED, **settings)
    old = f"{written - timedelta(days=2):{form}}"
    sqlite.add("goods", ("b", "Bread", 2, written.strftime(form)), ("old", "", 3, old))
    loaded = load(warehouse, STAMPED, run_id="r2", **settings)
    assert (loaded.inserted, loaded.updated) == (1, 0)
    assert landed(warehouse, "source_id, price") == [("a", Decimal(1)), ("b", Decimal(2))]
    moment = landed(warehouse, "source_id, abs(extract(epoch FROM changed_at - now())) < 120")
    assert form == "%Y-%m-%d" or moment == [("a", True), ("b", True)]


@pytest.mark.fault("F36", how="a text with and without an offset in one column")
def test_f36_an_offset_in_a_text_wins_over_the_zone_of_the_mapping(sqlite, warehouse):
    sqlite.create("calls", id="key", opened="text", note="text")
    texts = {
        "a": "2025-10-26T02:30:00+02:00",
        "b": "2025-10-26T02:30:00+01:00",
        "c": "2025-10-26 02:30:00",
        "d": "2025-10-26T00:30:00Z",
        "e": "2025-10-26T02:30:00.123456+0200",
        "f": "2025-10-26",
    }
    sqlite.add("calls", *((key, text, "") for key, text in texts.items()))
    load(warehouse, TICKET, "ticket", time_zone="Europe/Berlin")
    assert landed(warehouse, "source_id, opened_at::text", "ticket") == [
        ("a", "2025-10-26 00:30:00+00"),
        ("b", "2025-10-26 01:30:00+00"),
        ("c", "2025-10-26 01:30:00+00"),
        ("d", "2025-10-26 00:30:00+00"),
        ("e", "2025-10-26 00:30:00.123456+00"),
        ("f", "2025-10-25 22:00:00+00"),
    ]
