"""The make commands: what they refuse, in one line, and what they tell Airflow and the library."""

import os
import re
import socket
import stat
from unittest import mock

import pytest

from include import sources
from include.local import airflow, commands, flow, postgres, state
from include.local.demo import Wanted


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty state folder, and an environment that sets nothing of ours."""
    for name in list(os.environ):
        if name.startswith(("AIRFLOW", "PORTRAIT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PORTRAIT_HOME", str(tmp_path / "var"))
    return tmp_path / "var"


@pytest.fixture
def say(home, capsys):
    """Run a command with arguments as make gives them; its exit status and what it said."""

    def run(command: str, **arguments: str) -> tuple[int, str]:
        with mock.patch.dict(os.environ, arguments):
            status = commands.main([command])
        captured = capsys.readouterr()
        return status, captured.err or captured.out

    return run


@pytest.mark.parametrize(
    ("command", "arguments", "said"),
    [
        ("demo", {"DATA": "gone.parquet"}, "DATA=gone.parquet: no such file, or not readable"),
        ("demo", {"DATA": "shop.xlsx"}, "DATA=shop.xlsx: must be a .parquet or .csv file"),
        ("demo", {"CUSTOMERS": "many"}, "CUSTOMERS=many: must be a whole number above 0"),
        ("demo", {"DAYS": "0"}, "DAYS=0: must be a whole number above 0"),
        ("run", {"ONLY": "all"}, "ONLY=all: must be one of ingest, profile, train, publish"),
        ("run", {"AS_OF": "yesterday"}, "as_of 'yesterday' is no day"),
        ("run", {"AS_OF": "2999-01-01"}, "as_of 2999-01-01 is after"),
        ("run", {"SOURCES": "sap"}, "SOURCES: no source 'sap'; known: "),
        ("run", {}, "run: no source is on; set AIRFLOW_CONN_ of one"),
        ("reconcile", {}, "reconcile: no source is on; set AIRFLOW_CONN_ of one"),
        ("reconcile", {"ONLY": "train"}, "ONLY=train: must be one of reconcile; give one or none"),
        ("reconcile", {"SOURCES": "sap"}, "SOURCES: no source 'sap'; known: "),
        ("replay", {}, "replay: no source is on; set AIRFLOW_CONN_ of one"),
        ("dsn", {"ROLE": "root"}, "ROLE=root: must be bi_reader or owner"),
        ("dsn", {"DB": "airflow"}, "DB=airflow: must be warehouse or shop"),
        ("bench", {"ONLY": "luck"}, "ONLY=luck: no such benchmark; known: "),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line_and_nothing_starts(
    say, home, command, arguments, said
):
    status, answer = say(command, **arguments)
    assert status == 1
    assert answer.startswith(said)
    assert answer.count("\n") == 1
    assert postgres.running(home) is False


def test_an_unknown_command_lists_the_known_ones(home, capsys):
    assert commands.main(["deploy"]) == 2
    said = capsys.readouterr().err
    assert "demo|run|reconcile|replay|rollback|portrait|match|" in said
    assert "|dsn|stop|clean|doctor|bench|init" in said


def test_dsn_of_a_warehouse_of_yours_starts_nothing(say, home):
    yours = {"AIRFLOW_CONN_WAREHOUSE": "postgres://me:secret@db.example:5433/wh"}
    assert say("dsn", **yours) == (0, "postgresql://me:secret@db.example:5433/wh\n")
    assert say("dsn", ROLE="bi_reader", **yours) == (
        0,
        "postgresql://bi_reader@db.example:5433/wh\n",
    )
    assert not home.exists()


def test_stop_and_clean_say_so_when_there_was_nothing(say, home):
    assert say("stop") == (0, "nothing of this checkout was running\n")
    status, answer = say("clean")
    assert status == 0
    assert answer.endswith(f"removed {home}\n")
    assert not home.exists()


def test_init_fills_what_is_marked_and_refuses_to_write_twice(say, tmp_path, monkeypatch):
    monkeypatch.setattr(state, "ROOT", tmp_path)
    (tmp_path / ".env.example").write_text(
        "# all of it\nPORT=8080\nDB_PASSWORD=  # generated\nFERNET_KEY= # generated\nOPEN=\n"
    )
    assert say("init")[0] == 0
    lines = (tmp_path / ".env").read_text().splitlines()
    assert [lines[0], lines[1], lines[4]] == ["# all of it", "PORT=8080", "OPEN="]
    assert re.fullmatch(r"DB_PASSWORD=[0-9a-f]{48}", lines[2])
    assert re.fullmatch(r"FERNET_KEY=[\w-]{43}=", lines[3])
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    status, answer = say("init")
    assert (status, "is there already" in answer) == (1, True)


def test_the_demo_is_off_beside_another_source(say, monkeypatch):
    monkeypatch.setattr(sources, "switched_on", lambda: ["erp"])
    status, answer = say("demo")
    assert status == 1
    assert answer.startswith("demo: source erp is on, and the demo's CRM stays off beside it")


def test_airflow_listens_on_the_loopback_address_with_secrets_that_stay(home):
    settings = airflow.environment(home)
    assert settings == airflow.environment(home)
    assert settings["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert settings["AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK"] == "False"
    for component in ("scheduler", "triggerer"):  # they would listen on all interfaces
        assert "--skip-serve-logs" in airflow.COMPONENTS[component]
    secrets = {settings[name] for name in settings if name.endswith(("KEY", "SECRET"))}
    assert len(secrets) == 3


def test_databases_of_yours_win_over_the_embedded_ones(home, monkeypatch):
    assert airflow.needs_embedded()
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "postgres://me@db.example/wh")
    monkeypatch.setenv(airflow.METADATA, "postgresql+psycopg2://me@db.example/airflow")
    settings = airflow.environment(home)
    assert settings["AIRFLOW_CONN_WAREHOUSE"] == "postgres://me@db.example/wh"
    assert settings[airflow.METADATA] == "postgresql+psycopg2://me@db.example/airflow"
    assert not airflow.needs_embedded()


@pytest.mark.parametrize(
    ("kind", "others", "switched_on"),
    [
        (None, [], set()),
        ("generated", [], {"AIRFLOW_CONN_SHOP", "AIRFLOW_CONN_SUPPORT"}),
        (
            "file",
            [],
            {
                "AIRFLOW_CONN_SHOP",
                "AIRFLOW_CONN_SUPPORT",
                "PORTRAIT_CRON",
                "PORTRAIT_DOMAIN",
            },
        ),
        ("generated", ["erp"], set()),
    ],
)
def test_the_demo_crm_is_on_when_it_was_made_and_no_other_source_is(
    home, monkeypatch, kind, others, switched_on
):
    monkeypatch.setattr(sources, "switched_on", lambda: others)
    without = set(airflow.environment(home))
    if kind:
        state.write_json(home / "run" / "demo.json", {"kind": kind})
    assert set(airflow.environment(home)) - without == switched_on


def test_a_changed_file_is_another_demo(tmp_path):
    path = tmp_path / "shop.csv"
    path.write_text("a")
    before = Wanted.read({"DATA": str(path)})
    assert before == Wanted.read({"DATA": str(path)})
    path.write_text("ab")
    assert before != Wanted.read({"DATA": str(path)})


def test_a_port_is_remembered_and_left_when_another_program_has_it(home, caplog):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        first = taken.getsockname()[1]
        port = state.port(home, "ui", first)
        assert port > first
        assert f"port {first} is taken by another program: ui uses {port}" in caplog.text
    assert state.port(home, "ui", first) == port


def test_the_last_error_of_a_task_is_one_line():
    log = [
        {"event": "starting", "level": "info"},
        {
            "event": "Task failed with exception",
            "level": "error",
            "error_detail": [
                {"exc_type": "ConfigError", "exc_value": "shop.yaml: no\n such column"}
            ],
        },
        {"event": "finished", "level": "info"},
    ]
    assert flow.error_of(log) == "ConfigError: shop.yaml: no such column"
    assert flow.error_of(["plain"]) is None
