"""A table that nobody here made: what can be learned from its columns, and what of.

Its label decides the question: two or a few values are classes, many numbers an amount.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from include.errors import InputError

MOST_CLASSES = 20  # of a label; more numbers are an amount
MOST_CATEGORIES = 50  # of a text; the rarer ones count as one
MOST_DISTINCT = 0.5  # of the rows: a text with more values names its row
BETWEEN = "\x1f"  # a text column and its value, in the names of what is made of them


@dataclass(frozen=True)
class Table:
    """What is learned from, and what was found out about it."""

    values: pd.DataFrame  # float64 and text columns
    labels: npt.NDArray[Any]  # the number of the class (int64), or the amount (float64)
    classes: list[str]  # by number; none of an amount
    said: dict[str, Any]  # JSON-able


def read(path: Path, label: str, drop: list[str]) -> Table:
    """The table without ``drop``, with numbers where a text holds nothing else.

    Raises
    ------
    InputError
        If the file or a column is not there, or the label is neither classes nor an amount.
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
    labels, classes = _labels(frame[label])
    values, left_out = _values(frame.drop(columns=[label, *drop]))
    said = {
        "table": path.name,
        "rows": len(frame),
        **_about(label, labels, classes),
        "features": values.shape[1],
        "dropped": drop,
        "left_out": left_out,
    }
    return Table(values, labels, classes, said)


def _labels(column: pd.Series) -> tuple[npt.NDArray[Any], list[str]]:
    """The number of each row's class with the classes, or its amount without any."""
    answers = sorted(column.unique())
    if 2 <= len(answers) <= MOST_CLASSES:
        number = {answer: position for position, answer in enumerate(answers)}
        return column.map(number).to_numpy(dtype="int64"), [str(answer) for answer in answers]
    if len(answers) > MOST_CLASSES and not pd.api.types.is_datetime64_any_dtype(column):
        amounts = pd.to_numeric(column, errors="coerce").to_numpy(dtype="float64")
        if np.isfinite(amounts).all():
            return amounts, []
    raise InputError(
        f"score-table: {column.name} has {len(answers)} values; give a LABEL that has two, "
        f"up to {MOST_CLASSES}, or more of which all are finite numbers"
    )


def _about(label: str, labels: npt.NDArray[Any], classes: list[str]) -> dict[str, Any]:
    """The question in words, and the share of the answer asked for, or of the most frequent one."""
    if not classes:
        return {"label": label, "mean": round(float(labels.mean()), 4)}
    if len(classes) == 2:
        return {"label": f"{label} = {classes[1]}", "base_rate": round(float(labels.mean()), 4)}
    most = np.bincount(labels).max() / len(labels)
    return {"label": f"{label} of {', '.join(classes)}", "most_frequent": round(float(most), 4)}


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


def behind_columns(steps: Pipeline, values: pd.DataFrame) -> Pipeline:
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
    return make_pipeline(columns, *(step for _, step in steps.steps))


def _named(column: str, value: object) -> str:
    return f"{column}{BETWEEN}{value}"


def column_of(made: str) -> str:
    """The column of the table that a column of the pipeline was made of."""
    return made.removeprefix("missingindicator_").partition(BETWEEN)[0]
