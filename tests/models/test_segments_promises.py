"""What every way of grouping promises, from the training to the files of a publish."""

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from include import profile
from include.errors import InputError
from include.models import clusters, groupings, segments, store
from include.models.groupings import ALGORITHMS
from tests.models.conftest import AS_OF
from tests.models.test_segments import blobs


@pytest.fixture(params=ALGORITHMS)
def algorithm(request):
    return request.param


def made(algorithm, values, k=3, seed=0):
    makers = groupings.makers(algorithm, clusters.scaled(values), 8, seed=seed)
    return clusters.fit(values, makers[k], seed=seed)


def test_planted_groups_are_found(algorithm):
    values, label = blobs(1)
    found = made(algorithm, values).predict(values)
    assert pd.crosstab(found, label).to_numpy().max(axis=0).tolist() == [120, 120, 120]


def test_the_planted_number_is_chosen(algorithm):
    points = clusters.scaled(blobs(1)[0])
    makers = groupings.makers(algorithm, points, 8, seed=0)
    assert clusters.choose(clusters.curve(points, makers, seed=0), 2).k == 3


def test_the_same_seed_gives_the_same_segments(algorithm):
    values, _ = blobs(1)
    first = made(algorithm, values, seed=7).predict(values)
    assert (made(algorithm, values, seed=7).predict(values) == first).all()


def test_one_or_two_threads_give_the_same_segments(algorithm):
    values, _ = blobs(1)
    with threadpool_limits(2):
        two = made(algorithm, values).predict(values)
    with threadpool_limits(1):
        assert (made(algorithm, values).predict(values) == two).all()


def test_a_stored_grouping_groups_as_before(algorithm):
    values, _ = blobs(1)
    fitted = made(algorithm, values)
    copy = store.loads(store.dumps({"published": fitted}))["published"]
    assert (copy.predict(values) == fitted.predict(values)).all()


def test_a_newcomer_gets_the_segment_of_those_like_it(algorithm):
    values, _ = blobs(1)
    fitted = made(algorithm, values)
    newcomers, same = blobs(2)
    found = pd.crosstab(fitted.predict(newcomers), same).to_numpy().max(axis=0)
    assert found.tolist() == [120, 120, 120]
    gap = values.head(1).assign(recency_days=np.nan)
    assert fitted.predict(gap).shape == (1,)


def test_everyone_is_in_one_segment_and_each_is_described(warehouse, habits, tmp_path, algorithm):
    said = segments.train(warehouse, habits, as_of=AS_OF, run_id="r", algorithm=algorithm)
    assert said["decision"] == "promoted", said
    assert segments.assign(warehouse, habits, AS_OF, tmp_path)["model_version"]
    members, table, feature, drawn = (
        pd.read_parquet(tmp_path / f"{name}.parquet")
        for name in ("customer_segment", "segment", "segment_feature", "segment_map")
    )
    assert members["customer_id"].tolist() == sorted(profile.frame(habits, AS_OF).index)
    assert members["segment_key"].value_counts().to_dict() == dict(
        zip(table["segment_key"], table["customers"], strict=True)
    )
    assert table["name"].is_unique
    assert members.loc[members["segment_key"] != "prospect", "distance"].notna().all()
    assert set(feature["segment_key"]) == set(table["segment_key"])
    both = drawn.merge(members, on="customer_id")
    assert (both["segment_key_x"] == both["segment_key_y"]).all()
    assert len(drawn) == (members["segment_key"] != "prospect").sum()


def test_values_without_structure_are_no_clearer_than_shuffled_ones(algorithm):
    points = np.random.default_rng(4).normal(size=(400, 5))
    for make in groupings.makers(algorithm, points, 3, seed=0).values():
        clear, shuffled = clusters.structure(points, make, seed=0)
        assert clear < np.percentile(shuffled, 97.5) + segments.CLEARER


def test_an_unknown_algorithm_is_named(warehouse, habits):
    with pytest.raises(InputError, match="no algorithm 'oracle'; known: kmeans, minibatch"):
        segments.train(warehouse, habits, as_of=AS_OF, run_id="r", algorithm="oracle")


def test_a_number_that_density_does_not_give_is_refused_in_words(warehouse, habits):
    said = segments.train(
        warehouse, habits, as_of=AS_OF, run_id="r", algorithm="hdbscan", segments=19
    )
    assert said["decision"] == "rejected"
    assert said["reason"].startswith("hdbscan finds ")
    assert said["reason"].endswith(" in these customers, not 19")
