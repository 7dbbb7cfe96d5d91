"""``include/`` is a library: every module of it imports where there is no Airflow."""

import subprocess
import sys

from tests.flow.command import ROOT, clean_environment

IMPORT_ALL = """
import importlib, sys

class NoAirflow:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "airflow":
            raise ImportError(f"{name} is imported where there is no Airflow")

sys.meta_path.insert(0, NoAirflow())
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def modules() -> list[str]:
    paths = [path.relative_to(ROOT) for path in (ROOT / "include").rglob("*.py")]
    names = {".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths}
    return sorted(name for name in names if not name.endswith("__main__"))


def test_every_module_of_include_imports_without_airflow():
    names = modules()
    assert len(names) > 60
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *names],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
