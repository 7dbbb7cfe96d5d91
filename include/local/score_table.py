"""The algorithms on a table that nobody here made: ``make score-table FILE= LABEL=``.

Such a table has no days, so the rows that judge are drawn at random. Nothing is tuned on them:
where TRIALS asks for a search, it goes on inside the rows that are learned from.
"""

import copy
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
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline

from include.errors import InputError
from include.local.outside_table import Table, behind_columns, column_of, read
from include.local.table_figures import interval, leading, measure, naive
from include.models import ALGORITHMS, search
from include.models.algorithms import REGRESSIONS, made
from include.models.base import learning, single_thread
from include.models.compare import drawn
from include.models.leaks import TOO_GOOD
from include.models.reasons import Mask, Words, added, worded

NAMES = ("FILE", "LABEL", "FOLDS", "REPEATS", "DROP", "ONLY", "OUT", "TRIALS")
FEWEST = 10  # of a class: what calibrates and what searches cut the rows learned from once more
INNER = 3  # folds of a search, and of a column alone

Numbers = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Asked:
    """How an algorithm is judged; ``trials`` is 0 without a search."""

    algorithm: str
    folds: int
    repeats: int
    trials: int = 0


@dataclass
class Judged:
    """One algorithm on rows that it did not see."""

    asked: Asked
    figures: list[dict[str, float]] = field(default_factory=list)  # mean of the folds, by repeat
    between: tuple[float, float] = (0.0, 0.0)  # the leading figure, of the first repeat
    rows: pd.DataFrame | None = None  # score and reasons, of the first repeat
    chosen: list[dict[str, Any]] = field(default_factory=list)  # by a search: of each fold
    core_s: float = 0.0

    @property
    def line(self) -> dict[str, Any]:
        """Mean and, over several repeats, spread (standard deviation) of each figure."""
        table = pd.DataFrame(self.figures)
        spread = table.std() if len(table) > 1 else pd.Series(dtype="float64")
        said: dict[str, Any] = {"algorithm": self.asked.algorithm}
        for place, name in enumerate(map(str, table)):
            said[name] = round(float(table[name].mean()), 4)
            if not place:
                said |= {f"{name}_low": self.between[0], f"{name}_high": self.between[1]}
            if name in spread:
                said[f"{name}_spread"] = round(float(spread[name]), 4)
        if self.asked.trials:
            said |= {"trials": self.asked.trials, "chosen": self.chosen}
        return {**said, "core_s": round(self.core_s, 1)}


@dataclass(frozen=True)
class Part:
    """One fold: its rows and what was foreseen of them, a column a class, or the amount."""

    rows: Rows
    foreseen: Numbers
    chosen: dict[str, Any]  # parameters; {}: the algorithm's own
    reasons: pd.DataFrame | None


def score_table() -> None:
    """Judge each algorithm on FILE and print one line of figures for each, the best one last."""
    given = {name: os.environ.get(name, "") for name in NAMES}
    if not given["FILE"] or not given["LABEL"]:
        raise InputError("score-table: give FILE=table.parquet (or .csv) and LABEL=column")
    folds, repeats = _count("FOLDS", given, 2, 5), _count("REPEATS", given, 1, 1)
    trials = _count("TRIALS", given, 0, 0)
    table = read(Path(given["FILE"]), given["LABEL"], given["DROP"].split())
    names = _names(table, given["ONLY"].split(), trials)
    _check(table, folds)
    about = {**table.said, "naive": naive(table.labels, table.classes), "too_good": too_good(table)}
    print(json.dumps({**about, "folds": folds, "repeats": repeats}), flush=True)
    best, (figure, sign) = None, leading(table.classes)
    for name in names:
        for tried in sorted({0, trials}):
            judged = judge(table, Asked(name, folds, repeats, tried))
            print(json.dumps(judged.line), flush=True)
            if best is None or sign * judged.line[figure] > sign * best.line[figure]:
                best = judged
    if best is not None and best.rows is not None:
        tuned = {"trials": best.asked.trials} if best.asked.trials else {}
        print(json.dumps({"best": best.asked.algorithm, **tuned, figure: best.line[figure]}))
        if given["OUT"]:
            best.rows.to_parquet(given["OUT"], index=False)


def _count(name: str, given: dict[str, str], fewest: int, usual: int) -> int:
    text = given[name]
    if not text:
        return usual
    if not text.isdecimal() or int(text) < fewest:
        raise InputError(f"score-table: {name}={text} must be a number from {fewest} on")
    return int(text)


def _names(table: Table, only: list[str], trials: int) -> list[str]:
    known = ALGORITHMS if table.classes else REGRESSIONS
    if unknown := set(only) - set(known):
        raise InputError(
            f"score-table: ONLY={' '.join(sorted(unknown))} is unknown; give {' '.join(known)}"
        )
    if trials and not table.classes:
        raise InputError("score-table: TRIALS searches for classes only; this LABEL is an amount")
    return only or list(known)


def _check(table: Table, folds: int) -> None:
    fewest = int(np.bincount(table.labels).min()) if table.classes else len(table.labels)
    if fewest < max(folds, FEWEST):
        what = "an answer occurs" if table.classes else "there are rows"
        raise InputError(
            f"score-table: {what} {fewest} times only; "
            f"FOLDS={folds} needs {max(folds, FEWEST)} of each"
        )


def too_good(table: Table) -> dict[str, float]:
    """The columns that alone reach an AUC of ``TOO_GOOD``, with it: they may know the answer.

    By a tree on rows that it did not see, so that any order of values counts, and gaps and texts.
    """
    if not table.classes:
        return {}
    values, labels = drawn(table.values, pd.Series(table.labels), seed=0)
    found = {}
    for name in values:
        alone = Table(values[[name]], labels.to_numpy(), table.classes, {})
        auc = judge(alone, Asked("tree", INNER, 1), explain=False).figures[0]["auc"]
        if auc >= TOO_GOOD:
            found[str(name)] = round(auc, 4)
    return found


def judge(table: Table, asked: Asked, *, explain: bool = True) -> Judged:
    """An algorithm on draws of folds that are the same for all."""
    judged, start = Judged(asked), time.process_time()
    for repeat in range(asked.repeats):
        first = repeat == 0
        parts = list(_parts(table, asked, seed=repeat, explain=explain and first))
        found = [measure(table.labels[part.rows], part.foreseen) for part in parts]
        judged.figures.append(pd.DataFrame(found).mean().to_dict())
        if explain and first:
            pairs = [(part.rows, part.foreseen) for part in parts]
            judged.between = interval(table.labels, pairs)
            judged.rows = _written(table, parts)
            judged.chosen = [part.chosen for part in parts] if asked.trials else []
    judged.core_s = time.process_time() - start
    return judged


def _parts(table: Table, asked: Asked, *, seed: int, explain: bool) -> Iterator[Part]:
    drawing = StratifiedKFold if table.classes else KFold
    folds = drawing(asked.folds, shuffle=True, random_state=seed)
    for learned, rows in folds.split(table.values, table.labels):
        chosen = _searched(table, asked, learned, seed)
        seen = table.values.iloc[rows]
        fitted, foreseen = _foreseen(table, asked.algorithm, chosen, (learned, rows), seed)
        reasons = None
        if explain and table.classes:
            reasons = worded(_terms(fitted, seen, foreseen), partial(_said, seen))
        yield Part(rows, foreseen, chosen, reasons)


def _foreseen(
    table: Table, name: str, parameters: dict[str, Any], split: tuple[Rows, Rows], seed: int
) -> tuple[Pipeline, Numbers]:
    """A fit on the first rows, and what it foresees of the second."""
    learned, rows = split
    steps = made(name, seed, parameters) if table.classes else REGRESSIONS[name](seed)
    fitted = behind_columns(steps, table.values)
    with learning():
        fitted.fit(table.values.iloc[learned], table.labels[learned])
    seen = table.values.iloc[rows]
    with single_thread():
        said = fitted.predict_proba(seen) if table.classes else fitted.predict(seen)[:, None]
    return fitted, np.asarray(said, dtype="float64")


def _searched(table: Table, asked: Asked, learned: Rows, seed: int) -> dict[str, Any]:
    """The parameters that a search chooses within the rows learned from."""
    if not asked.trials:
        return {}
    values, labels = drawn(table.values.iloc[learned], pd.Series(table.labels[learned]), seed)
    inside = Table(values, labels.to_numpy(), table.classes, {})
    folds = StratifiedKFold(INNER, shuffle=True, random_state=seed)
    splits = list(folds.split(inside.values, inside.labels))

    def aucs(parameters: dict[str, Any]) -> list[float]:
        found = []
        for split in splits:
            _, foreseen = _foreseen(inside, asked.algorithm, parameters, split, seed)
            found.append(measure(inside.labels[split[1]], foreseen)["auc"])
        return found

    return search.pick(asked.algorithm, aucs, trials=asked.trials, seed=seed).parameters


def _terms(fitted: Pipeline, seen: pd.DataFrame, foreseen: Numbers) -> pd.DataFrame:
    """What each column adds: of two classes to the second, of more to the likeliest, if linear."""
    if foreseen.shape[1] == 2:
        return added(fitted, seen, column_of)
    last, likeliest = fitted[-1], foreseen.argmax(axis=1)
    if not hasattr(last, "coef_"):
        return pd.DataFrame(index=seen.index)
    parts = []
    for number in np.unique(likeliest):
        one = copy.copy(last)
        one.coef_ = last.coef_[[number]]
        pipeline = make_pipeline(*(step for _, step in fitted.steps[:-1]), one)
        parts.append(added(pipeline, seen[likeliest == number], column_of))
    return pd.concat(parts).loc[seen.index]


def _written(table: Table, parts: list[Part]) -> pd.DataFrame:
    """A line a row of the table, in its order: the label, the score and the reasons."""
    found = []
    for part in parts:
        labels = table.labels[part.rows]
        if len(table.classes) > 2:
            named, likeliest = np.array(table.classes), part.foreseen.argmax(axis=1)
            said = {"label": named[labels], "says": named[likeliest]}
            score = part.foreseen.max(axis=1)
        else:
            said, score = {"label": labels}, part.foreseen[:, -1]
        lines = pd.DataFrame({"row": part.rows, **said, "score": score})
        if part.reasons is not None:
            lines = pd.concat([lines, part.reasons.reset_index(drop=True)], axis=1)
        found.append(lines)
    return pd.concat(found, ignore_index=True).sort_values("row", ignore_index=True)


def _said(values: pd.DataFrame, name: str, rows: Mask) -> Words:
    """``Contract: Two year`` for each of the rows."""
    column = values[name][rows]
    texts = [
        value if isinstance(value, str) else "" if np.isnan(value) else f"{value:,.10g}"
        for value in column
    ]
    return np.array([f"{name}: {text or 'unknown'}" for text in texts], dtype="object")
