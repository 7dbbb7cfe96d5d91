"""Where state lies: ``var/`` of the checkout, or ``$PORTRAIT_HOME``."""

import hashlib
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


def pictures(model_version: str) -> Path:
    """The folder of the pictures of a model version, beside those of the model's other ones."""
    model = re.sub(r"-\d{4}-\d\d-\d\d-[0-9a-f]{12}$", "", model_version)
    return home() / "pictures" / _plain(model) / _plain(model_version)


def _plain(name: str) -> str:
    """A name as that of a folder; one that has to be changed stays unlike every other one."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,100}", name):
        return name
    kept = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:80]
    return f"{kept}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def clear_work(*, but: str) -> None:
    """Remove what killed or failed publishes left of their work files; run ``but``'s stay."""
    for folder in work(but).parent.glob("*"):
        if folder != work(but):
            shutil.rmtree(folder, ignore_errors=True)
