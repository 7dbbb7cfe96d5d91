"""Was it right? Scores are kept, and held against what happened once their horizon has passed."""

from datetime import date, timedelta
from itertools import pairwise

import duckdb
import pandas as pd
import psycopg
import pytest

from include.models import outcome
from include.models.score import score
from include.models.train import train
from tests.models.conftest import AS_OF
from tests.snapshots import write_snapshot

DAY, HORIZON = date(2026, 3, 1), 30
END = DAY + timedelta(days=HORIZON)
TENTHS = {1: ([1, 2, 3, 4], 0.9), 2: ([5, 6, 7, 8], 0.25)}


@pytest.fixture
def db(warehouse_url):
    with psycopg.connect(warehouse_url, autocommit=True) as db:
        yield db


def publish(db, generation: int, day: date, tenths=TENTHS, model: str = "purchase") -> int:
    """Publish the scores of these customers, and of one whom the model leaves out."""
    db.execute(
        f"""CREATE TABLE IF NOT EXISTS mart.customer_score__g{generation}
            PARTITION OF mart.customer_score FOR VALUES IN ({generation})"""
    )
    rows = [(c, tenth, p, True) for tenth, (ids, p) in tenths.items() for c in ids]
    with db.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO mart.customer_score (generation, as_of, customer_id, model, decile,
                   score, eligible, horizon_days, model_version)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
            [
                (generation, day, *(c, model, tenth, p, yes), HORIZON, f"v{generation}")
                for c, tenth, p, yes in [*rows, (9999, None, None, False)]
            ],
        )
    return outcome.log_scores(db, generation, run_id=f"publish/{generation}")


def shop(folder, orders: dict[int, int], customers=range(1, 9)):
    """A snapshot in which each of these customers ordered so many days after DAY."""
    return write_snapshot(
        folder,
        customer=[{"customer_id": customer} for customer in customers],
        order_line=[
            {"customer_id": c, "order_id": f"{c}", "product_id": "p", "ordered_on": str(on)}
            for c, on in ((c, DAY + timedelta(days=after)) for c, after in orders.items())
        ],
    )


# 1, 2, 3 and 5 buy within the 30 days; 4 before, 6 on the first day after them
BOUGHT = {1: 0, 2: 10, 3: 29, 4: -1, 5: 5, 6: 30}
FOUND = [
    (1, 4, 0, 0.9, 0.75, 0.300641843, 0.954412739, 1.5),
    (2, 4, 0, 0.25, 0.25, 0.045587261, 0.699358157, 0.5),
]


def measured(db, model: str = "purchase") -> list[tuple]:
    return db.execute(
        """SELECT decile, customers, gone, predicted_rate, actual_rate, actual_low, actual_high,
                  lift FROM bi.score_outcome WHERE model = %s AND origin = 'published'
           ORDER BY as_of, decile""",
        [model],
    ).fetchall()


def logged(db) -> list[tuple]:
    return db.execute(
        """SELECT as_of - %s, run_id, array_agg(decile ORDER BY decile) FROM ops.score_log
           GROUP BY 1, 2 ORDER BY 1""",
        [DAY],
    ).fetchall()


def test_when_the_horizon_has_passed_each_tenth_stands_beside_what_happened(db, tmp_path):
    assert publish(db, 1, DAY) == 2
    assert outcome.measure(db, shop(tmp_path, BOUGHT), END, run_id="publish/2") == 1
    assert measured(db) == FOUND
    assert db.execute(
        "SELECT DISTINCT model_version, as_of, horizon_days, run_id FROM bi.score_outcome"
    ).fetchall() == [("v1", DAY, HORIZON, "publish/2")]
    assert logged(db) == []


def test_of_churn_the_other_answer_counts(db, tmp_path):
    publish(db, 1, DAY, model="churn")
    outcome.measure(db, shop(tmp_path, BOUGHT), END, run_id="r")
    assert [(row[0], row[4]) for row in measured(db, "churn")] == [(1, 0.25), (2, 0.75)]


def test_nothing_is_said_before_the_horizon_has_passed(db, tmp_path):
    publish(db, 1, DAY)
    folder = shop(tmp_path, BOUGHT)
    assert outcome.measure(db, folder, END - timedelta(days=1), run_id="r") == 0
    assert measured(db) == []
    assert logged(db) == [(0, "publish/1", [1, 2])]


def test_of_a_source_that_fell_silent_nothing_is_said(db, tmp_path):
    publish(db, 1, DAY)
    silent = shop(tmp_path, {1: 0, 2: 10, 3: 28})
    assert outcome.measure(db, silent, END + timedelta(days=90), run_id="r") == 0
    assert logged(db) == [(0, "publish/1", [1, 2])]


def test_measuring_again_changes_nothing(db, tmp_path):
    publish(db, 1, DAY)
    folder = shop(tmp_path, BOUGHT)
    outcome.measure(db, folder, END, run_id="first")
    assert outcome.measure(db, folder, END, run_id="again") == 0
    assert publish(db, 2, DAY) == 0
    assert outcome.measure(db, folder, END, run_id="again") == 0
    assert measured(db) == FOUND
    assert db.execute("SELECT DISTINCT run_id FROM bi.score_outcome").fetchall() == [("first",)]


def test_stopped_between_the_outcome_and_the_log_nothing_is_lost(db, warehouse_url, tmp_path):
    publish(db, 1, DAY)
    folder = shop(tmp_path, BOUGHT)
    db.execute(
        """CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
           CREATE TRIGGER stop BEFORE DELETE ON ops.score_log EXECUTE FUNCTION stop()"""
    )
    with (
        psycopg.connect(warehouse_url, autocommit=True) as killed,
        pytest.raises(psycopg.OperationalError),
    ):
        outcome.measure(killed, folder, END, run_id="killed")
    assert measured(db) == []
    assert logged(db) == [(0, "publish/1", [1, 2])]
    db.execute("DROP TRIGGER stop ON ops.score_log")
    outcome.measure(db, folder, END, run_id="again")
    assert measured(db) == FOUND


def test_who_was_merged_counts_as_who_they_are_and_who_is_gone_is_counted(db, tmp_path):
    """4 became 14 by way of 24; 8 became 18, who is gone as well; 7 is gone."""
    publish(db, 1, DAY)
    with db.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO core.identity_event (at, event, customer_id, other_customer_id, records,
                   reason, run_id) VALUES (%s, %s, %s, %s, 1, '', 'r')""",
            [
                ("2026-03-05", "merged", 4, 24),
                ("2026-03-06", "merged", 24, 14),
                ("2026-03-05", "merged", 8, 18),
                ("2026-03-05", "split", 7, 1),
                ("2026-03-05", "merged", 1, 2),  # and parted again: 1 is there
            ],
        )
    folder = shop(tmp_path, {2: 10, 14: 3, 5: 29}, [1, 2, 3, 5, 6, 14])
    outcome.measure(db, folder, END, run_id="r")
    assert [row[:5] for row in measured(db)] == [(1, 4, 0, 0.9, 0.5), (2, 2, 2, 0.25, 0.5)]


def test_a_tenth_that_is_gone_as_a_whole_has_no_rate(db, tmp_path):
    publish(db, 1, DAY)
    outcome.measure(db, shop(tmp_path, {1: 3, 2: 29}, [1, 2, 3, 4]), END, run_id="r")
    assert measured(db)[1] == (2, 0, 4, 0.25, None, None, None, None)


def test_a_day_a_week_is_kept_and_a_day_that_is_published_again_replaces_its_own(db):
    for generation, after in enumerate((0, 1, 6, 7, 7, 13, 14), start=1):
        publish(db, generation, DAY + timedelta(days=after))
    assert logged(db) == [
        (0, "publish/1", [1, 2]),
        (7, "publish/5", [1, 2]),
        (14, "publish/7", [1, 2]),
    ]


def test_an_earlier_day_that_is_published_late_was_not_known_then(db):
    publish(db, 1, DAY)
    assert publish(db, 2, DAY - timedelta(days=60)) == 0
    assert publish(db, 3, DAY - timedelta(days=60), model="churn") == 2
    assert logged(db) == [(-60, "publish/3", [1, 2]), (0, "publish/1", [1, 2])]


def test_only_who_was_scored_is_kept(db):
    publish(db, 1, DAY)
    assert db.execute(
        "SELECT decile, customer_ids, predicted_mean FROM ops.score_log ORDER BY decile"
    ).fetchall() == [(1, [1, 2, 3, 4], 0.9), (2, [5, 6, 7, 8], 0.25)]


@pytest.mark.parametrize("model", ["churn", "purchase"])
def test_scores_of_a_real_model_are_held_against_every_order_that_came(db, habits, tmp_path, model):
    days = {"churn": 90, "purchase": 30}[model]
    day = AS_OF - timedelta(days=100)
    made = train(db, habits, model, as_of=day, run_id="r")
    assert made["promoted"], made
    score(db, habits, day, tmp_path)
    table = pd.read_parquet(tmp_path / "customer_score.parquet").query("eligible")
    deciles = {
        int(decile): (rows["customer_id"].tolist(), 0.5) for decile, rows in table.groupby("decile")
    }
    publish(db, 1, day, deciles, model)
    db.execute("UPDATE ops.score_log SET horizon_days = %s", [days])
    outcome.measure(db, habits, AS_OF, run_id="r")
    buyers = {
        customer
        for (customer,) in duckdb.execute(
            """SELECT DISTINCT customer_id FROM read_parquet(?) WHERE ordered_on BETWEEN ? AND ?""",
            [str(habits / "order_line.parquet"), day, day + timedelta(days=days - 1)],
        ).fetchall()
    }
    expected = [
        (decile, len(ids), sum((c in buyers) == (model == "purchase") for c in ids) / len(ids))
        for decile, (ids, _) in sorted(deciles.items())
    ]
    found = [(row[0], row[1], row[4]) for row in measured(db, model)]
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    assert [row[2] for row in found] == pytest.approx([row[2] for row in expected])


def test_a_training_that_is_promoted_shows_its_own_test(db, habits):
    made = train(db, habits, "purchase", as_of=AS_OF, run_id="r")
    rows = db.execute(
        """SELECT decile, customers, predicted_rate, actual_rate FROM bi.score_outcome
           WHERE origin = 'backtest' AND model_version = %s AND as_of = %s ORDER BY decile""",
        [made["model_version"], AS_OF - timedelta(days=30)],
    ).fetchall()
    assert [decile for decile, *_ in rows] == list(range(1, 11))
    assert all(above > below for (*_, above, _), (*_, below, _) in pairwise(rows))
    customers = sum(row[1] for row in rows)
    metrics = dict(
        db.execute("SELECT metric, value FROM bi.model_metric WHERE slice = 'all'").fetchall()
    )
    assert sum(row[1] * row[3] for row in rows) / customers == pytest.approx(metrics["base_rate"])
    assert rows[0][3] / metrics["base_rate"] == pytest.approx(metrics["lift_10"], rel=0.05)
    assert train(db, habits, "purchase", as_of=AS_OF, run_id="again") == made
    assert db.execute("SELECT DISTINCT run_id FROM bi.score_outcome").fetchall() == [("r",)]


def test_a_training_that_is_refused_shows_nothing(db, noise):
    assert train(db, noise, "purchase", as_of=AS_OF, run_id="r")["decision"] == "rejected"
    assert db.execute("SELECT count(*) FROM bi.score_outcome").fetchall() == [(0,)]


def test_the_interval_of_a_share_is_that_of_wilson():
    assert outcome.wilson(0, 10) == pytest.approx((0, 0.2775), abs=0.0001)
    assert outcome.wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=0.0001)
    assert outcome.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=0.0001)
    assert outcome.wilson(0, 0) == (None, None)
