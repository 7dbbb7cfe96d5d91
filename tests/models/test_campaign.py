from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from include import profile
from include.models import metrics
from include.models.base import dated
from include.models.campaign import Campaign
from include.models.train import train
from tests.models.conftest import AS_OF, DAYS, FIRST, orders
from tests.snapshots import write_snapshot

DAY = date(2026, 3, 1)
UNKNOWN = pytest.approx(float("nan"), nan_ok=True)


def did(customer, kind, day):
    return {"customer_id": customer, "kind": kind, "happened_at": str(day)}


def test_a_click_or_an_answer_within_the_window_is_an_answer_and_nothing_else_is(tmp_path):
    folder = write_snapshot(
        tmp_path,
        interaction=[
            did(1, "mail_click", "2026-03-01"),
            did(2, "campaign_answer", "2026-03-30"),
            did(3, "campaign_answer", "2026-03-31"),
            did(4, "mail_click", "2026-02-28 23:59"),
            did(5, "mail_open", "2026-03-02"),
            did(5, "visit", "2026-03-02"),
        ],
    )
    answers = Campaign().labels(folder, pd.Index(range(1, 6)), DAY, 30)
    assert answers.tolist() == [1, 1, 0, 0, 0]


def test_what_was_sent_and_answered_before_the_day_is_counted(tmp_path):
    folder = write_snapshot(
        tmp_path,
        interaction=[
            did(1, "mail_sent", "2025-11-01"),
            did(1, "mail_click", "2025-11-02"),
            did(1, "mail_sent", "2026-02-01"),
            did(1, "mail_open", "2026-02-20"),  # no answer
            did(1, "campaign_answer", "2026-02-09"),
            did(1, "campaign_answer", "2026-03-01"),  # not known yet
            did(2, "mail_sent", "2026-02-27"),
        ],
    )
    own = Campaign().own(folder, pd.Index([1, 2, 3], name="customer_id"), DAY)
    assert own.reset_index().to_dict("list") == {
        "customer_id": [1, 2, 3],
        "contact_recency_days": [20, 2, UNKNOWN],
        "mails_90d": [1, 1, 0],
        "answer_count": [2, 0, 0],
        "answer_recency_days": [20, UNKNOWN, UNKNOWN],
    }


def test_who_was_not_written_to_for_90_days_is_not_asked_and_the_last_answer_is_the_obvious_one():
    known = pd.DataFrame({
        "contact_recency_days": [90.0, 91.0, None, 1.0],
        "answer_recency_days": [95.0, 91.0, None, None],
    })
    silent = "no mail and no answer for more than 90 days"
    assert Campaign().ineligible(known).fillna("").tolist() == ["", silent, silent, ""]
    assert Campaign().naive(known).rank().tolist() == [3, 4, 1.5, 1.5]


@pytest.fixture(scope="module")
def mailed(tmp_path_factory):
    """300 customers with a mail a month: every third one often answers, the others hardly do."""
    draw = np.random.default_rng(6)
    happened = []
    for customer in range(1, 301):
        for day in range(5, DAYS, 30):
            sent = FIRST + timedelta(days=day)
            happened.append(did(customer, "mail_sent", sent))
            if draw.random() < (0.6 if customer % 3 == 0 else 0.15):
                happened.append(did(customer, "mail_click", sent + timedelta(days=1)))
    return write_snapshot(
        tmp_path_factory.mktemp("mailed"),
        order_line=orders(1, 300, lambda _: 60),
        interaction=happened,
    )


def test_a_planted_readiness_to_answer_is_learned(mailed):
    past, later, model = date(2026, 3, 1), date(2026, 5, 1), Campaign()
    frames = {day: dated(model, profile.frame(mailed, day), mailed, day) for day in (past, later)}
    assert all(model.ineligible(known).isna().all() for known in frames.values())
    answers = {day: model.labels(mailed, known.index, day, 30) for day, known in frames.items()}
    scores = model.fit(frames[past], answers[past], seed=0).score(frames[later])
    answers_often = scores.index % 3 == 0
    assert scores[answers_often].mean() > scores[~answers_often].mean() + 0.25
    naive = metrics.auc(answers[later], model.naive(frames[later]))
    assert metrics.auc(answers[later], scores) > naive > 0.6


def test_without_interactions_it_is_refused_for_want_of_answers(warehouse, habits):
    made = train(warehouse, habits, "campaign", as_of=AS_OF, run_id="r")
    assert made["decision"] == "not_ready"
    assert "training_positives: 0 found, 50 needed" in made["reason"]
