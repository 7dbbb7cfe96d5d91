"""A key stays with its segment, whatever number the fit gives to it."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from include.models import clusters, groupings, keys, segments
from include.models.groupings import ALGORITHMS
from tests.models.conftest import AS_OF
from tests.models.test_segments import COLUMNS, blobs


def fitted(values, k=3, algorithm="kmeans", seed=0):
    """What a training gives to the keys: the scaled values, and the group of each customer."""
    points = clusters.scaled(values)
    made = groupings.makers(algorithm, points, 8, seed=seed)[k](points, seed=seed)
    return points, made.predict(points), values["revenue"].to_numpy()


def nobody(values):
    return pd.Series(None, index=values.index, dtype="object")


def of_each(kept, labels, values):
    return pd.Series(np.array(kept, dtype="object")[labels], index=values.index)


def test_the_first_keys_go_to_larger_spenders_first():
    values, label = blobs(1)
    space, labels, spend = fitted(values)
    kept, last = keys.keep_keys(space, labels, spend, nobody(values), 0)
    each = of_each(kept, labels, values)
    assert last == 3
    assert each[label == 2].unique().tolist() == ["s3"]


def test_keys_survive_a_retraining_that_numbers_the_groups_otherwise():
    values, label = blobs(1)
    old = pd.Series(np.array(["s5", "s1", "s9"], dtype="object")[label], index=values.index)
    for seed in range(5):
        space, labels, spend = fitted(values, seed=seed)
        kept, last = keys.keep_keys(space, labels, spend, old, 9)
        assert last == 9
        assert (of_each(kept, labels, values) == old).all()


def test_a_new_segment_gets_a_number_that_was_never_given():
    values, label = blobs(1)
    old = pd.Series(np.array(["s1", "s2", None], dtype="object")[label], index=values.index)
    space, labels, spend = fitted(values)
    kept, last = keys.keep_keys(space, labels, spend, old, 7)
    assert (sorted(kept), last) == (["s1", "s2", "s8"], 8)
    assert (of_each(kept, labels, values)[label < 2] == old[label < 2]).all()


def test_of_a_segment_that_falls_apart_the_larger_part_keeps_the_key():
    values, label = blobs(1)
    values, label = values[50:], label[50:]
    old = pd.Series(np.array(["s1", "s1", "s2"], dtype="object")[label], index=values.index)
    space, labels, spend = fitted(values)
    kept, last = keys.keep_keys(space, labels, spend, old, 2)
    assert (sorted(kept), last) == (["s1", "s2", "s3"], 3)
    assert set(of_each(kept, labels, values)[label == 1]) == {"s1"}


def test_customers_who_all_moved_together_keep_their_key():
    values, label = blobs(1)
    published = pd.Series(np.array(["s1", "s2", "s3"], dtype="object")[label], index=values.index)
    space, labels, spend = fitted(values)
    mistaken = pd.Series("s1", index=values.index, dtype="object")  # so far they all moved
    kept, last = keys.keep_keys(space, labels, spend, mistaken, 3, published=published)
    assert (sorted(kept), last) == (["s1", "s2", "s3"], 3)
    assert (of_each(kept, labels, values) == published).all()


def test_other_customers_in_the_same_place_keep_its_key():
    values, label = blobs(1)
    old = pd.Series(np.array(["s1", "s2", "s3"], dtype="object")[label], index=values.index)
    space, labels, spend = fitted(values)
    strangers = old.sample(frac=1, random_state=0).set_axis(old.index)
    kept, last = keys.keep_keys(space, labels, spend, old, 3, published=strangers)
    assert (of_each(kept, labels, values) == old).all()
    assert last == 3


@pytest.mark.parametrize("newcomers", [60, 1200])
def test_newcomers_of_a_kind_of_their_own_take_no_key_along(newcomers):
    values, label = blobs(1)
    old = pd.Series(np.array(["s1", "s2", "s3"], dtype="object")[label], index=values.index)
    draw = np.random.default_rng(2)
    middle = np.array([4, 9000, 2250, 60])  # the champion would count them to s2
    crowd = pd.DataFrame(draw.normal(middle, middle * 0.1, (newcomers, 4)), columns=COLUMNS)
    everyone = pd.concat([values, crowd], ignore_index=True)
    space, labels, spend = fitted(everyone, k=4)
    champion, known = old.reindex(everyone.index, fill_value="s2"), old.reindex(everyone.index)
    kept, last = keys.keep_keys(space, labels, spend, champion, 3, published=known)
    each = of_each(kept, labels, everyone)
    assert last == 4
    assert (each[: len(values)] == old).all()
    assert set(each[len(values) :]) == {"s4"}


def test_who_came_after_the_champion_is_a_newcomer_whatever_it_called_them(warehouse):
    with warehouse.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO mart.customer_segment_history
                   (customer_id, from_as_of, to_as_of, segment_key) VALUES (%s, %s, %s, %s)""",
            [
                (1, "2026-03-01", "2026-03-05", "s1"),
                (1, "2026-03-05", None, "s2"),
                (2, "2026-03-05", None, "s2"),
            ],
        )
    champion, today, who = date(2026, 3, 1), date(2026, 3, 8), pd.Index([1, 2, 3])
    told = keys.published(warehouse, who, today).fillna("null")
    assert told.tolist() == ["s2", "s2", "null"]
    told = keys.published(warehouse, who, today, since=champion).fillna("null")
    assert told.tolist() == ["s2", "null", "null"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_keys_are_stable_over_ten_retrains_with_shifted_data(algorithm):
    published, last = pd.Series(dtype="object"), 0
    first = None
    for number in range(10):
        values, label = blobs(number, shift=0.08 * number)
        values.index += 12 * number  # every time thirty in a hundred or so are others
        values.index = values.index.to_numpy() + 1000 * label  # nobody changes the group
        space, labels, spend = fitted(values, algorithm=algorithm, seed=number)
        before = published.reindex(values.index)
        kept, last = keys.keep_keys(space, labels, spend, before, last)
        published = of_each(kept, labels, values)
        told = [published[label == group].mode()[0] for group in range(3)]
        first = first or told
        assert told == first
    assert last == 3


def test_a_vanished_segment_is_retired_and_a_new_one_is_told(warehouse, habits):
    segments.train(warehouse, habits, as_of=AS_OF, run_id="r", segments=3)
    segments.train(warehouse, habits, as_of=AS_OF, run_id="r", segments=2)
    segments.train(warehouse, habits, as_of=AS_OF, run_id="r", segments=4)
    told = warehouse.execute(
        "SELECT card -> 'new', card -> 'retired' FROM ops.model_version ORDER BY recorded_at"
    ).fetchall()
    assert told[0] == (["s1", "s2", "s3"], [])
    assert [len(part) for part in told[1]] == [0, 1]
    assert set(told[2][0]) == {"s4", "s5"}


def test_keys_outlive_a_champion_that_cannot_be_read_any_more(warehouse, habits, tmp_path):
    segments.train(warehouse, habits, as_of=AS_OF, run_id="r", segments=3)
    segments.assign(warehouse, habits, AS_OF, tmp_path)
    members = pd.read_parquet(tmp_path / "customer_segment.parquet")
    with warehouse.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO mart.customer_segment_history
                   (customer_id, from_as_of, segment_key)
               VALUES (%s, %s, %s)""",
            [(row.customer_id, AS_OF, row.segment_key) for row in members.itertuples()],
        )
    warehouse.execute(
        "UPDATE ops.model_version SET card ="
        " jsonb_set(card, '{made_of,libraries,scikit-learn}', '\"0.1\"')"
    )
    segments.train(warehouse, habits, as_of=AS_OF, run_id="r", segments=3, seed=5)
    (found,) = warehouse.execute(
        "SELECT card -> 'keys' FROM ops.model_version ORDER BY recorded_at DESC LIMIT 1"
    ).fetchone()
    assert sorted(found) == ["s1", "s2", "s3"]
