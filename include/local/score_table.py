"""The algorithms on a table that nobody here made: ``make score-table FILE= LABEL=``.

Such a table has no days, so the rows that judge are drawn at random. Nothing is tuned on them.
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from include.errors import InputError
from include.models import ALGORITHMS, metrics
from include.models.base import learning, single_thread
from include.models.reasons import Mask, Words, added, worded

NAMES = ("FILE", "LABEL", "FOLDS", "REPEATS", "DROP", "ONLY", "OUT")
MOST_CATEGORIES = 50  # of a text; the rarer ones count as one
MOST_DISTINCT = 0.5  # of the rows: a text with more values names its row
BETWEEN = "\x1f"  # a text column and its value, in the names of what is made of them

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Table:
    """What is learned from, and what was found out about it."""

    values: pd.DataFrame  # float64 and text columns
    labels: Labels
    said: dict[str, Any]  # JSON-able


@dataclass
class Judged:
    """One algorithm on rows that it did not see."""

    algorithm: str
    figures: list[dict[str, float]] = field(default_factory=list)  # mean of the folds, by repeat
    rows: pd.DataFrame | None = None  # score and reasons, of the first repeat
    core_s: float = 0.0

    @property
    def line(self) -> dict[str, Any]:
        """Mean and, over several repeats, spread (standard deviation) of each figure."""
        table = pd.DataFrame(self.figures)
        spread = table.std() if len(table) > 1 else pd.Series(dtype="float64")
        said: dict[str, Any] = {"algorithm": self.algorithm}
        for name in table:
            said[str(name)] = round(float(table[name].mean()), 4)
            if name in spread:
                said[f"{name}_spread"] = round(float(spread[name]), 4)
        return {**said, "core_s": round(self.core_s, 1)}


def score_table() -> None:
    """Judge each algorithm on FILE and print one line of figures for each, the best one last."""
    given = {name: os.environ.get(name, "") for name in NAMES}
    if not given["FILE"] or not given["LABEL"]:
        raise InputError("score-table: give FILE=table.parquet (or .csv) and LABEL=column")
    names = given["ONLY"].split() or list(ALGORITHMS)
    if unknown := set(names) - set(ALGORITHMS):
        known = " ".join(ALGORITHMS)
        raise InputError(f"score-table: ONLY={' '.join(sorted(unknown))} is unknown; give {known}")
    folds, repeats = (
        _count("FOLDS", given["FOLDS"], 2, 5),
        _count("REPEATS", given["REPEATS"], 1, 1),
    )
    table = read(Path(given["FILE"]), given["LABEL"], given["DROP"].split())
    print(json.dumps({**table.said, "folds": folds, "repeats": repeats}), flush=True)
    best = None
    for judged in judge(table, names, folds=folds, repeats=repeats):
        print(json.dumps(judged.line), flush=True)
        if best is None or judged.line["auc"] > best.line["auc"]:
            best = judged
    if best is not None and best.rows is not None:
        print(json.dumps({"best": best.algorithm, "auc": best.line["auc"]}))
        if given["OUT"]:
            best.rows.to_parquet(given["OUT"], index=False)


def _count(name: str, text: str, fewest: int, usual: int) -> int:
    if not text:
        return usual
    if not text.isdecimal() or int(text) < fewest:
        raise InputError(f"score-table: {name}={text} must be a number from {fewest} on")
    return int(text)


def read(path: Path, label: str, drop: list[str]) -> Table:
    """The table without ``drop``, with numbers where a text holds nothing else.

    Raises
    ------
    InputError
        If the file or a column is not there, or the label does not have two values.
    """
    if not path.exists():
        raise InputError(f"score-table: {path} is not there")
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    if missing := [name for name in [label, *drop] if name not in frame]:
        raise InputError(
            f"score-table: {path.name} has no column {', '.join(missing)}; "
            f"it has {', '.join(map(str, frame.columns))}"
        )
    frame = frame[frame[label].notna()].reset_index(drop=True)
    answers = sorted(frame[label].unique())
    if len(answers) != 2:
        raise InputError(
            f"score-table: {label} has {len(answers)} values; give a LABEL that has two"
        )
    labels = (frame[label] == answers[1]).to_numpy(dtype="int64")
    values, left_out = _values(frame.drop(columns=[label, *drop]))
    said = {
        "table": path.name,
        "rows": len(frame),
        "label": f"{label} = {answers[1]}",
        "base_rate": round(float(labels.mean()), 4),
        "features": values.shape[1],
        "dropped": drop,
        "left_out": left_out,
    }
    return Table(values, labels, said)


def _values(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """The columns as float64 or text, and why others are left out."""
    values, left_out = {}, {}
    for name in map(str, frame.columns):
        column = frame[name]
        if pd.api.types.is_datetime64_any_dtype(column):
            left_out[name] = "a date: without a day to count from it says nothing"
        elif pd.api.types.is_numeric_dtype(column):
            numbers = column.astype("float64")
            values[name] = numbers.mask(np.isinf(numbers))
        else:
            texts = column.astype("object").fillna("").astype("str").str.strip()
            numbers = pd.to_numeric(texts.mask(texts == ""), errors="coerce").astype("float64")
            if numbers.notna().sum() == (texts != "").sum():
                values[name] = numbers.mask(np.isinf(numbers))
            elif texts.nunique() > MOST_DISTINCT * len(texts):
                left_out[name] = "nearly a value a row: it names the row"
            else:
                values[name] = texts.astype("object")
    return pd.DataFrame(values), left_out


def judge(table: Table, names: list[str], *, folds: int, repeats: int) -> Iterator[Judged]:
    """Each algorithm on the same draws of folds, one after another."""
    fewest = int(np.bincount(table.labels, minlength=2).min())
    if fewest < folds:
        raise InputError(
            f"score-table: an answer occurs {fewest} times only, FOLDS={folds} is more"
        )
    for name in names:
        judged, start = Judged(name), time.process_time()
        for repeat in range(repeats):
            figures, rows = _repeat(table, name, folds, seed=repeat, explain=repeat == 0)
            judged.figures.append(figures)
            judged.rows = rows if repeat == 0 else judged.rows
        judged.core_s = time.process_time() - start
        yield judged


def _repeat(
    table: Table, name: str, folds: int, *, seed: int, explain: bool
) -> tuple[dict[str, float], pd.DataFrame]:
    found, parts = [], []
    drawn = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for learned, judged in drawn.split(table.values, table.labels):
        with learning():
            fitted = _pipeline(name, table.values, seed)
            fitted.fit(table.values.iloc[learned], table.labels[learned])
        seen = table.values.iloc[judged]
        with single_thread():
            scores = fitted.predict_proba(seen)[:, 1]
        found.append(metrics.headline(table.labels[judged], scores))
        part = pd.DataFrame({"row": judged, "label": table.labels[judged], "score": scores})
        if explain:
            terms = added(fitted, seen, _column)
            words = worded(terms, partial(_said, seen)).reset_index(drop=True)
            part = pd.concat([part, words], axis=1)
        parts.append(part)
    rows = pd.concat(parts, ignore_index=True).sort_values("row", ignore_index=True)
    return pd.DataFrame(found).mean().to_dict(), rows


def _pipeline(name: str, values: pd.DataFrame, seed: int) -> Pipeline:
    """An algorithm behind columns of numbers: medians for gaps, a column for each text's value."""
    numbers = list(values.select_dtypes("number"))
    texts = [name for name in values if name not in numbers]
    gaps = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    one_of = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        max_categories=MOST_CATEGORIES,
        sparse_output=False,
        feature_name_combiner=_named,
    )
    columns = ColumnTransformer(
        [("numbers", gaps, numbers), ("texts", one_of, texts)], verbose_feature_names_out=False
    )
    steps: Any = ALGORITHMS[name](seed)
    return make_pipeline(columns, *(step for _, step in steps.steps))


def _named(column: str, value: object) -> str:
    return f"{column}{BETWEEN}{value}"


def _column(made: str) -> str:
    return made.removeprefix("missingindicator_").partition(BETWEEN)[0]


def _said(values: pd.DataFrame, name: str, rows: Mask) -> Words:
    """``Contract: Two year`` for each of the rows."""
    column = values[name][rows]
    texts = [
        value if isinstance(value, str) else "" if np.isnan(value) else f"{value:,.10g}"
        for value in column
    ]
    return np.array([f"{name}: {text or 'unknown'}" for text in texts], dtype="object")
