"""Values of many megabytes, in bounded memory."""

import subprocess
import sys
from pathlib import Path

import pytest

from include.errors import PortraitError
from tests.faults import crms
from tests.faults.crms import TICKET, landed, load

ROOT = Path(__file__).parents[2]
DAY = "2026-01-05 10:00:00"
databases, warehouse = crms.databases(), crms.warehouse()
crm = crms.fixture("postgres", "mysql", "sqlite")
postgres = crms.fixture("postgres")
mariadb = crms.fixture("mysql")
sqlite = crms.fixture("sqlite")
LOAD_IN_A_CHILD = """
import re, sys
from pathlib import Path
from include import landing
from include.connections import connect
from tests.faults.crms import TICKET, mapping
with connect("warehouse") as db:
    landing.load(mapping(TICKET, "ticket"), "ticket", db, run_id=sys.argv[1])
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def peak_mb(run_id: str) -> float:
    """The most memory that a load takes in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD_IN_A_CHILD, run_id],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout) / 1024


HUGE_MB = 64


A_HUGE_TEXT = {
    "postgres": f"repeat('portrait ', {(HUGE_MB << 20) // 9})",
    "sqlite": f"replace(hex(zeroblob({(HUGE_MB << 20) // 18})), '00', 'portrait portrait ')",
}


with_huge_rows = crms.fixture("postgres", "sqlite")


def add_huge_rows(crm, keys: str) -> None:
    for key in keys:
        crm.run(f"INSERT INTO calls VALUES ('{key}', '{DAY}', {A_HUGE_TEXT[crm.dialect]})")


@pytest.mark.fault("F37", how="a row of 64 MB lands in a process of less than ten times that")
def test_f37_a_row_of_64_mb_lands_in_bounded_memory(
    with_huge_rows, warehouse, databases, monkeypatch
):
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", crms.url_of(databases.warehouse))
    with_huge_rows.create("calls", id="key", opened="moment", note="text")
    add_huge_rows(with_huge_rows, "a")
    assert peak_mb("r1") < 10 * HUGE_MB
    assert landed(warehouse, "length(subject) / 1000000, 1", "ticket") == [(67, 1)]


@pytest.mark.fault("F37", how="six rows of 64 MB: the loader's memory is that of few, not of all")
def test_f37_memory_does_not_grow_with_the_number_of_huge_rows(
    postgres, warehouse, databases, monkeypatch
):
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", crms.url_of(databases.warehouse))
    postgres.create("calls", id="key", opened="moment", note="text")
    add_huge_rows(postgres, "a")
    one_mb = peak_mb("r1")
    add_huge_rows(postgres, "bcdef")
    assert peak_mb("r2") < one_mb + 3 * HUGE_MB
    assert landed(warehouse, "count(*), 1", "ticket") == [(6, 1)]


@pytest.mark.fault("F37", how="a value above the limit of one gigabyte")
def test_f37_a_value_above_the_limit_is_one_clear_error_and_loads_nothing(postgres, warehouse):
    postgres.create("calls", id="key", opened="moment", note="text")
    postgres.add("calls", ("a", DAY, "small"), ("b", DAY, "x"))
    long = "CASE id WHEN 'b' THEN repeat(note, 1100000000) ELSE note END"
    query = f"SELECT id AS source_id, opened AS opened_at, {long} AS subject FROM calls"
    with pytest.raises(PortraitError) as raised:
        load(warehouse, {"select": query}, "ticket")
    message = str(raised.value)
    assert "\n" not in message
    assert message.startswith("crm.yaml: ")
    assert landed(warehouse, "source_id, subject", "ticket") == []
    assert warehouse.execute("SELECT read_to FROM ops.watermark").fetchall() == []


@pytest.mark.fault(
    "F37", how="a text that MariaDB may not double for its line (max_allowed_packet)"
)
def test_f37_a_text_too_large_for_mariadbs_packet_never_lands_as_null(mariadb, warehouse):
    ((packet,),) = mariadb.run("SELECT @@max_allowed_packet")
    mariadb.create("calls", id="key", opened="moment", note="text")
    mariadb.run(f"INSERT INTO calls VALUES ('a', '{DAY}', repeat('x', {packet} - 200))")
    try:
        load(warehouse, TICKET, "ticket")
    except PortraitError as error:
        assert "max_allowed_packet" in str(error)  # noqa: PT017  landing it whole is right, too
        assert landed(warehouse, "source_id, subject", "ticket") == []
    else:
        found = landed(warehouse, "source_id, length(subject)", "ticket")
        assert found == [("a", packet - 200)]


@pytest.mark.timeout(60)
@pytest.mark.fault("F37", how="a text of 300,000 lines in three databases, within a minute")
def test_f37_a_text_of_many_lines_lands_in_reasonable_time(crm, warehouse):
    text = "\n" * 300_000
    crm.create("calls", id="key", opened="moment", note="text")
    crm.add("calls", ("a", DAY, text))
    load(warehouse, TICKET, "ticket")
    assert landed(warehouse, "source_id, subject", "ticket") == [("a", text)]
