"""Where state lies: ``var/`` of the checkout, or ``$PORTRAIT_HOME``."""

import os
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent


def home() -> Path:
    """The folder of everything that runs leave behind."""
    return Path(os.environ.get("PORTRAIT_HOME") or ROOT / "var").absolute()


def snapshots() -> Path | str:
    """The folder of the snapshots: ``$PORTRAIT_SNAPSHOTS``, which may be a URL (s3://bucket/x)."""
    given = os.environ.get("PORTRAIT_SNAPSHOTS", "")
    if "://" in given:
        return given
    return Path(given).absolute() if given else home() / "snapshots"


def work(run_id: str) -> Path:
    """The folder of one publish's work files."""
    return home() / "work" / re.sub(r"[^A-Za-z0-9_.-]+", "_", run_id)


def clear_work(*, but: str) -> None:
    """Remove what killed or failed publishes left of their work files; run ``but``'s stay."""
    for folder in work(but).parent.glob("*"):
        if folder != work(but):
            shutil.rmtree(folder, ignore_errors=True)
