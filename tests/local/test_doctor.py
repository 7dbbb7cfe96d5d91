"""What `make doctor` prints, and that its exit status is the number of bad lines."""

import io
import os
import sqlite3
from contextlib import closing
from unittest import mock

import psycopg
import pytest
from rich.console import Console

from include.local import doctor, postgres
from include.local.findings import Finding, show


@pytest.fixture
def environment(tmp_path):
    """An environment that sets nothing of ours, and is put back."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("AIRFLOW", "PORTRAIT_"))}
    with mock.patch.dict(os.environ, kept, clear=True):
        yield os.environ


@pytest.fixture
def lines(environment, tmp_path):
    """Run the doctor; its answer, and the lines that it printed."""

    def run() -> tuple[int, list[str]]:
        printed = io.StringIO()
        bad = doctor.doctor(tmp_path / "home", Console(file=printed, width=40))
        return bad, printed.getvalue().splitlines()

    return run


def uri(conninfo: str) -> str:
    parts = {"password": "", **psycopg.conninfo.conninfo_to_dict(conninfo)}
    login = f"{parts['user']}:{parts['password']}@{parts['host']}:{parts['port']}"
    return f"postgres://{login}/{parts['dbname']}"


def test_findings_are_aligned_and_brackets_stay(capsys):
    findings = [Finding("shop", True, "answers"), Finding("shop.customer", False, "[no] table")]
    assert show(Console(), findings, width=14) == 1
    assert capsys.readouterr().out == "ok shop           answers\n!! shop.customer  [no] table\n"


def test_each_source_has_a_block_and_the_bad_lines_are_counted(
    lines, environment, warehouse_url, empty_database, tmp_path
):
    with closing(sqlite3.connect(tmp_path / "support.sqlite")) as db:
        db.execute("CREATE TABLE account (account_no TEXT)")
    environment["AIRFLOW_CONN_WAREHOUSE"] = uri(warehouse_url)
    environment["AIRFLOW_CONN_SHOP"] = uri(empty_database)
    environment["AIRFLOW_CONN_SUPPORT"] = f"sqlite:///{tmp_path}/support.sqlite"
    bad, printed = lines()
    machine, shop, support = "\n".join(printed).split("\n\n")
    assert machine.startswith("set by you: AIRFLOW_CONN_WAREHOUSE\n")
    assert machine.endswith("\nok sources      on: shop, support")
    assert '!! shop.customer          no table "customers"; there are none' in shop.splitlines()
    assert '!! support.customer       no table "accounts"; nearest: account' in support.splitlines()
    assert bad == sum(line.startswith("!! ") for line in printed) > 2


def test_a_mapping_that_is_not_there_is_one_bad_line(tmp_path):
    (one,) = doctor.crm(tmp_path, "no_such", None)
    assert (one.subject, one.good) == ("no_such", False)
    assert one.said.startswith("no_such.yaml: no such mapping; known: ")


def test_the_demos_shop_is_not_bad_while_its_server_does_not_run(environment, tmp_path):
    environment["AIRFLOW_CONN_SHOP"] = postgres.known(tmp_path / "home").url("shop")
    assert list(doctor.crm(tmp_path / "home", "shop", None)) == [
        Finding("shop", None, "the demo's, not running; `make demo` starts it")
    ]


def test_without_a_source_the_ones_that_could_be_on_are_named(lines):
    bad, printed = lines()
    assert bad == 0
    assert printed[-1].startswith("-- sources      none is on; set AIRFLOW_CONN_ of one (known: ")
