"""The numbers behind the pictures of a score."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn import metrics
from sklearn.pipeline import Pipeline

from include.models.base import fitted_features, matrix, single_thread
from include.models.outcome import tenths, wilson

Numbers = npt.NDArray[np.float64]

STEPS = 60  # of the grid, each way
INNER = (0.02, 0.98)  # quantiles: what lies beyond would press all others into a corner
SKEWED = 20.0  # from the middle to the upper end, against from the lower end to the middle


@dataclass(frozen=True)
class Line:
    """Points from left to right."""

    x: Numbers
    y: Numbers


def roc(labels: pd.Series, scores: pd.Series) -> Line:
    """Share of the yes that lie above a score (y) by the share of the no that do (x)."""
    false, true, _ = metrics.roc_curve(labels, scores)
    return Line(false, true)


def precision_recall(labels: pd.Series, scores: pd.Series) -> Line:
    """Share of yes among those above a score (y) by the share of all yes among them (x)."""
    precision, recall, _ = metrics.precision_recall_curve(labels, scores)
    return Line(recall[::-1], precision[::-1])


def gain(labels: pd.Series, scores: pd.Series) -> Line:
    """Share of the yes that are reached (y) when a share of the customers is contacted (x).

    The highest scores first; among equal ones chance decides, which gives a straight line.
    """
    groups = pd.DataFrame({"score": scores, "yes": labels}).groupby("score")["yes"]
    found = groups.agg(["size", "sum"]).sort_index(ascending=False).cumsum()
    shares = (found / found.iloc[-1]).to_numpy(dtype="float64")
    shares = np.vstack([np.zeros((1, 2)), shares])
    return Line(shares[:, 0], shares[:, 1])


def reached(line: Line, share: float) -> float:
    """How many of the yes are reached when ``share`` of the customers is contacted."""
    return float(np.interp(share, line.x, line.y))


def lift(line: Line, shares: Numbers) -> Numbers:
    """How many times more of the yes a share of customers holds than one drawn by chance."""
    return np.interp(shares, line.x, line.y) / shares


def calibration(labels: pd.Series, scores: pd.Series) -> pd.DataFrame:
    """foreseen, happened (with low and high, 95 %) and customers, by tenths; the lowest first."""
    rows = []
    for tenth in reversed(tenths(scores, labels)):
        low, high = wilson(tenth.happened, tenth.customers)
        share = tenth.happened / tenth.customers
        rows.append((tenth.predicted_rate, share, low, high, tenth.customers))
    return pd.DataFrame(rows, columns=["foreseen", "happened", "low", "high", "customers"])


@dataclass(frozen=True)
class Grid:
    """The probability where two features vary and the others stay: shape (y, x)."""

    x: Numbers
    y: Numbers
    probability: Numbers


def plane(importance: pd.Series, profiles: pd.DataFrame, pipeline: Pipeline) -> list[str]:
    """The two most important features that are numbers and differ between customers.

    Fewer than two where there are no more.
    """
    fitted = [name for name in fitted_features(pipeline) if name in profiles]
    numbers = [name for name in fitted if pd.api.types.is_numeric_dtype(profiles[name].dtype)]
    spans = profiles[numbers].astype("float64").quantile(list(INNER))
    differ = spans.columns[spans.iloc[1] > spans.iloc[0]]
    known = importance[importance.index.isin(differ)]
    return [str(name) for name in known.sort_values(ascending=False, kind="stable").index[:2]]


def grid(pipeline: Pipeline, profiles: pd.DataFrame, x: str, y: str, steps: int = STEPS) -> Grid:
    """What the model says over two features, everything else as with the customer in the middle.

    The others are at their median, texts at the most frequent one; the two run over the inner
    96 % of their values.
    """
    values = matrix(profiles, fitted_features(pipeline))
    across, up = (_span(values[name], steps) for name in (x, y))
    wide, high = np.meshgrid(across, up)
    middle = {name: _middle(column) for name, column in values.items()}
    rows = pd.DataFrame([middle] * wide.size).astype(values.dtypes.to_dict())
    rows[x], rows[y] = wide.ravel(), high.ravel()
    with single_thread():
        probability = pipeline.predict_proba(rows)[:, 1]
    return Grid(across, up, np.asarray(probability, dtype="float64").reshape(wide.shape))


def is_skewed(values: pd.Series) -> bool:
    """Whether a feature above 0 is read by powers of ten rather than by steps."""
    low, middle, high = values.astype("float64").quantile([INNER[0], 0.5, INNER[1]])
    return bool(low > 0 and high - middle > SKEWED * (middle - low))


def _span(values: pd.Series, steps: int) -> Numbers:
    low, high = values.quantile(list(INNER))
    if is_skewed(values):
        return np.geomspace(low, high, steps)
    return np.linspace(low, high, steps)


def _middle(column: pd.Series) -> float | str | None:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return float(column.median())
    common = column.mode()
    return str(common.iloc[0]) if len(common) else None
