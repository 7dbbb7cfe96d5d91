"""``make bi``: what it starts, what it leaves alone, what it refuses."""

import io
import stat
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from include.errors import InputError, ResourceError
from include.local import bi, postgres, processes, state
from tests.flow.conftest import Place, nothing_set

pytestmark = pytest.mark.bi

Dashboard = tuple[Path, bi.Login]


def told(home: Path, warehouse: str) -> str:
    """What the command prints."""
    console = Console(file=io.StringIO(), width=200)
    with nothing_set(PORTRAIT_BI_URL=warehouse):
        bi.bi(home, console)
    return console.file.getvalue()


def sessions(home: Path) -> list[psutil.Process]:
    """The process that was started, and its children."""
    leader = processes.running(home, "superset")
    assert leader
    return [leader, *leader.children(recursive=True)]


def test_a_second_call_changes_nothing_and_says_so(dashboard: Dashboard, filled: Place):
    home, login = dashboard
    before = [process.pid for process in sessions(home)]
    said = told(home, filled.server.url("warehouse", postgres.reader()))
    assert said.splitlines()[0] == "nothing to do: the dashboard is there and as in bi/dashboard"
    assert f"{login.url}/superset/dashboard/portrait/" in said
    assert [process.pid for process in sessions(home)] == before


def test_it_starts_again_after_a_stop_as_it_was(dashboard: Dashboard, filled: Place):
    home, login = dashboard
    imported = (home / "bi" / "imported").stat().st_mtime_ns
    assert bi.stop(home)
    assert bi.known(home) is None
    assert state.free(int(login.url.rsplit(":", 1)[1]))
    assert not bi.stop(home)
    said = told(home, filled.server.url("warehouse", postgres.reader()))
    assert "nothing to do" not in said
    assert bi.known(home) == login
    assert (home / "bi" / "imported").stat().st_mtime_ns == imported


def test_it_listens_on_this_machine_only(dashboard: Dashboard):
    listening = {
        connection.laddr.ip
        for process in sessions(dashboard[0])
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_it_knows_nothing_of_the_warehouse_owner(dashboard: Dashboard, filled: Place):
    owner = filled.server.passwords[postgres.OWNER]
    for process in sessions(dashboard[0]):
        assert not [name for name in process.environ() if name.startswith("AIRFLOW")]
        assert owner not in "".join(process.environ().values())


def test_what_holds_a_password_is_its_owners_alone(dashboard: Dashboard):
    home = dashboard[0]
    for name in ("run/bi.json", "secrets/bi_admin", "secrets/bi_key"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((home / "bi").stat().st_mode) == 0o700


def test_a_warehouse_without_a_publish_is_refused(filled: Place, tmp_path: Path):
    with pytest.raises(InputError) as refused:
        told(tmp_path, filled.server.url("airflow"))
    assert str(refused.value) == (
        "bi: nothing is published yet; `make demo` or `make run` first, with the same warehouse"
    )


def test_another_warehouse_needs_the_address_that_bi_reads_it_by(filled: Place, tmp_path: Path):
    with nothing_set(AIRFLOW_CONN_WAREHOUSE=filled.server.url()), pytest.raises(InputError) as no:
        bi.bi(tmp_path, Console())
    assert str(no.value) == (
        "PORTRAIT_BI_URL is not set, and the warehouse is that of AIRFLOW_CONN_WAREHOUSE; "
        "set it to postgresql://bi_reader:PASSWORD@HOST/DATABASE"
    )


def test_a_file_that_superset_cannot_use_is_refused_and_its_log_names_it(
    dashboard: Dashboard, tmp_path: Path
):
    home, login = dashboard
    chart = tmp_path / "charts" / "broken.yaml"
    chart.parent.mkdir()
    chart.write_text("slice_name: Broken\nversion: 1.0.0\n")
    (tmp_path / "metadata.yaml").write_text("version: 1.0.0\n")
    with bi.session(login) as client, pytest.raises(ResourceError) as refused:
        bi.import_dashboard(client, "postgresql://bi_reader:x@127.0.0.1/none", tmp_path)
    assert str(refused.value).endswith("; log/superset.log in the state folder says why")
    said = (home / "log" / "superset.log").read_text()
    assert "Schema validation failed for charts/broken.yaml" in said
