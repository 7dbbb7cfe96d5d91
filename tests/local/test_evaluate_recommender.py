"""Recommenders on purchases of one's own: chosen on a cut, measured on TEST, lists by name."""

import json

import numpy as np
import pandas as pd
import pytest

from include.errors import InputError
from include.local import evaluate_recommender as command

ITEMS = 12


def planted(seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sixty users who like even items or odd ones: five of six are known, the sixth comes later."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"u{user}", f"i{item:02}", user % 7 + place)
        for user in range(60)
        for place, item in enumerate(rng.permutation(np.arange(user % 2, ITEMS, 2)))
    ]
    pairs = pd.DataFrame(rows, columns=["user", "item", "time"])
    last = pairs.groupby("user").cumcount() == ITEMS // 2 - 1
    return pairs[~last], pairs[last].drop(columns="time")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    def on(train, test, **given):
        for name, frame in (("TRAIN", train), ("TEST", test)):
            frame.to_parquet(tmp_path / f"{name}.parquet")
            monkeypatch.setenv(name, str(tmp_path / f"{name}.parquet"))
        for name, value in given.items():
            monkeypatch.setenv(name, str(value))
        command.evaluate_recommender()
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return on


@pytest.mark.parametrize("with_time", [True, False])
def test_the_planted_taste_is_found_and_the_lists_have_the_names_of_the_file(
    run, tmp_path, with_time
):
    train, test = planted()
    out = tmp_path / "lists.parquet"
    lines = run(train if with_time else train.drop(columns="time"), test, K=1, OUT=out)
    figures = {line["method"]: line["recall@1"] for line in lines[1:]}
    assert figures["chosen"] == 1
    assert figures["popularity"] < 0.7
    lists = pd.read_parquet(out)
    assert lists.columns.tolist() == ["user", "item", "rank"]
    assert set(zip(lists["user"], lists["item"], strict=True)) == set(
        zip(test["user"], test["item"], strict=True)
    )


def test_with_a_time_the_latest_fifth_is_what_methods_are_chosen_by():
    ages = np.array([9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
    assert command._kept(np.arange(10), ages).tolist() == [True] * 8 + [False] * 2


def test_without_a_time_a_fifth_of_what_each_user_has_is_kept_back():
    users = np.repeat([0, 1, 2], [10, 5, 4])
    kept = command._kept(users, np.zeros(19, dtype=np.int64))
    assert np.bincount(users[~kept], minlength=3).tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"TRAIN": ""}, "give TRAIN= and TEST="),
        ({"TRAIN": "nowhere.parquet"}, "nowhere.parquet is not there"),
        ({"K": "many"}, "K=many must be a number from 1 to 1000"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_line(run, monkeypatch, given, message):
    train, test = planted()
    with pytest.raises(InputError, match=message):
        run(train, test, **given)


def test_a_test_that_holds_nothing_new_is_said_in_a_line(run):
    train, _ = planted()
    with pytest.raises(InputError, match="no user of TEST has an item that TRAIN lacks"):
        run(train, train.drop(columns="time"))


def test_a_file_without_the_columns_names_those_it_has(run):
    train, test = planted()
    with pytest.raises(InputError, match=r"TRAIN\.parquet has no column item; it has user, time"):
        run(train.drop(columns="item"), test)


def test_where_most_came_on_the_newest_day_a_fifth_of_each_users_is_kept_back(run):
    train, test = planted()
    lines = run(train.assign(time=0).assign(time=lambda t: (np.arange(len(t)) > 9) * 864000), test)
    assert {line["method"]: line["recall@20"] for line in lines[1:]}["chosen"] == 1


@pytest.mark.parametrize(
    ("users", "kinds"),
    [
        (lambda t: t["user"].str[1:].astype(int), "user is string in TRAIN and integer in TEST"),
        (lambda t: ["a", *range(len(t) - 1)], "user is string in TRAIN and mixed-integer in TEST"),
    ],
)
def test_ids_of_two_types_are_said_in_a_line(users, kinds):
    train, test = planted()
    with pytest.raises(InputError, match=f"{kinds}; write it as one type"):
        command._comparable(train, test.assign(user=users))
