"""Shops with a planted habit, or with none, as snapshots; and plain frames for the promises."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from include import domains
from include.models.base import features, groups
from include.profile import themes
from tests.snapshots import write_snapshot

ROOT = Path(__file__).parent.parent.parent.parent
FIRST, DAYS = date(2025, 1, 1), 540
AS_OF = FIRST + timedelta(days=DAYS)


def orders(seed: int, customers: int, gaps: Callable[[int], float]) -> list[dict[str, object]]:
    """One line an order; customer n orders about every ``gaps(n)`` days until a lapse."""
    draw = np.random.default_rng(seed)
    rows = []
    for customer in range(1, customers + 1):
        gap, lapse = gaps(customer), draw.uniform(0, 6 * DAYS)
        day = draw.uniform(0, gap)
        while day < min(DAYS, lapse):
            rows.append({
                "customer_id": customer,
                "order_id": f"shop:{len(rows)}",
                "product_id": "shop:p",
                "ordered_on": str(FIRST + timedelta(days=int(day))),
                "unit_price": round(float(draw.uniform(5, 20)) * (5 if gap < 30 else 1), 2),
            })
            day += gap * draw.uniform(0.7, 1.3)
    return rows


@pytest.fixture(scope="session")
def habits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 customers, every third buys every 15 days, the others every 120; some lapse."""
    lines = orders(1, 300, lambda customer: 15 if customer % 3 == 0 else 120)
    return write_snapshot(tmp_path_factory.mktemp("habits"), order_line=lines)


@pytest.fixture(scope="session")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 customers who all buy alike, whenever they like: the past says nothing."""
    draw = np.random.default_rng(2)
    lines = [
        {
            "customer_id": customer,
            "order_id": f"shop:{customer}-{number}",
            "product_id": "shop:p",
            "ordered_on": str(FIRST + timedelta(days=int(day))),
            "unit_price": 10,
        }
        for customer in range(1, 301)
        for number, day in enumerate(np.flatnonzero(draw.random(DAYS) < 0.01))
    ]
    return write_snapshot(tmp_path_factory.mktemp("noise"), order_line=lines)


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Change the domain's rules of noise."""

    def say(**changed: str) -> None:
        domain = domains.load()
        said = domain.model_copy(update={"noise": domain.noise.model_copy(update=changed)})
        monkeypatch.setattr(domains, "load", lambda: said)

    return say


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Trainings keep pictures: not in the checkout."""
    monkeypatch.setenv("PORTRAIT_HOME", str(tmp_path / "home"))


@pytest.fixture
def asks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Change the domain's limits from which on a person is asked."""

    def say(**changed: float) -> None:
        domain = domains.load()
        limits = domain.models.asks.model_copy(update=changed)
        models = domain.models.model_copy(update={"asks": limits})
        said = domain.model_copy(update={"models": models})
        monkeypatch.setattr(domains, "load", lambda: said)

    return say


@pytest.fixture
def leaking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The themes of the profile, with one date condition of the order lines left out."""
    sound = "ordered_on < {as_of}"
    folder = tmp_path / "themes"
    folder.mkdir()
    for file in themes.HERE.glob("*.sql"):
        text = file.read_text(encoding="utf-8")
        if file.name == "placed.sql":
            assert sound in text
            text = text.replace(sound, "true")
        (folder / file.name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(themes, "HERE", folder)


@pytest.fixture
def profiles() -> pd.DataFrame:
    """400 dated profiles of plain numbers, with gaps."""
    draw = np.random.default_rng(3)
    frame = pd.DataFrame(draw.normal(10, 3, (400, len(features()))), columns=features())
    frame.index = pd.Index(range(1, 401), name="customer_id")
    frame.loc[::7, "gap_days_mean"] = np.nan
    return frame.assign(**{name: (["low", "middle", "high", None] * 100) for name in groups()})


@pytest.fixture
def labels(profiles: pd.DataFrame) -> pd.Series:
    """1 for the half that was away longest."""
    away = profiles["recency_days"]
    return (away > away.median()).astype("int64")


@pytest.fixture(scope="session")
def real_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Snapshot of the Online Retail file, lines with a known customer only."""
    path = ROOT / "shared" / "data" / "online_retail" / "online_retail.parquet"
    if not path.exists():
        pytest.skip("no ../shared/data/online_retail beside this checkout")
    folder = write_snapshot(tmp_path_factory.mktemp("real"))
    with duckdb.connect() as db:
        db.execute(
            f"""COPY (SELECT 'shop:' || InvoiceNo AS order_id,
                    CAST(CustomerID AS bigint) AS customer_id, 'shop:' || StockCode AS product_id,
                    true AS is_product, row_number() OVER () AS line_no,
                    CAST(InvoiceDate AS timestamp) AS ordered_at,
                    CAST(InvoiceDate AS date) AS ordered_on,
                    CAST(hour(CAST(InvoiceDate AS timestamp)) AS integer) AS ordered_hour,
                    CAST(Quantity AS decimal(18, 6)) AS quantity,
                    CAST(UnitPrice AS decimal(18, 6)) AS unit_price,
                    CAST(0 AS decimal(18, 6)) AS discount,
                    CAST(Quantity * UnitPrice AS decimal(18, 6)) AS amount
                FROM read_parquet('{path}') WHERE CustomerID IS NOT NULL)
            TO '{folder / "order_line.parquet"}' (FORMAT parquet)"""
        )
    return folder
