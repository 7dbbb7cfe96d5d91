"""Lists of a snapshot written from literal rows."""

import pandas as pd
import pytest

from include import domains, recommend
from tests.recommend.shop import AS_OF
from tests.snapshots import write_snapshot

COSINE = {"recipe": recommend.Recipe(maker="cosine").settings()}


@pytest.fixture
def shop(monkeypatch):
    """Change the domain's rules for lists."""

    def change(**rules):
        domain = domains.load()
        changed = domain.model_copy(update={"lists": domain.lists.model_copy(update=rules)})
        monkeypatch.setattr(domains, "load", lambda: changed)

    return change


@pytest.fixture
def lists(tmp_path):
    """Write the snapshot, make the lists, return both tables as frames and the counts."""

    def run(tables, *, card=COSINE, as_of=AS_OF, consent_mapped=None, **lengths):
        folder = write_snapshot(tmp_path / "snapshot", consent_mapped=consent_mapped, **tables)
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        counts = recommend.lists(folder, as_of, card, out, **lengths)
        return (
            pd.read_parquet(out / "recommendation.parquet"),
            pd.read_parquet(out / "product_similarity.parquet"),
            counts,
        )

    run.snapshot = tmp_path / "snapshot"
    return run
