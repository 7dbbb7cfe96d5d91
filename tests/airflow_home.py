"""Airflow for tests: imported with a home of its own, so that nobody's own Airflow is touched."""

import atexit
import os
import shutil
import tempfile
from functools import cache
from unittest import mock


@cache
def imported() -> None:
    """Import Airflow once; its home is thrown away at the end unless AIRFLOW_HOME is set."""
    home = os.environ.get("AIRFLOW_HOME")
    if home is None:
        home = tempfile.mkdtemp(prefix="portrait-airflow-")
        atexit.register(shutil.rmtree, home, ignore_errors=True)
    settings = {"AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    with mock.patch.dict(os.environ, settings):  # read while importing, and only then
        import airflow.settings  # noqa: F401


@cache
def migrated() -> None:
    """Make Airflow's metadata tables, once a process."""
    imported()
    from airflow.utils.db import initdb

    initdb()
