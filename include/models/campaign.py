"""Campaign: a click in a mail or an answer to a campaign within ``purchase_window_days``.

Where no source has interactions nobody can answer, and a training is refused for want of answers.
"""

from datetime import date, timedelta
from pathlib import Path
from typing import ClassVar

import pandas as pd

from include import duck
from include.contracts import Column
from include.domains import Domain
from include.models import labels
from include.models.base import Classifier

ASKED_DAYS = 90  # longer without a mail: what they answer depends on being written to at all
NEVER_DAYS = 1e6  # since an answer of who never gave one


class Campaign(Classifier):
    """How likely a customer who is written to is to answer within ``purchase_window_days``."""

    name: ClassVar[str] = "campaign"
    own_features: ClassVar[tuple[Column, ...]] = (
        Column(
            "contact_recency_days",
            "integer",
            "Time since the last mail sent or answered; null without one.",
            unit="days",
        ),
        Column("mails_90d", "integer", "Mails sent in the last 90 days.", unit="mails"),
        Column("answer_count", "integer", "Answers to mails and campaigns.", unit="answers"),
        Column(
            "answer_recency_days",
            "integer",
            "Time since the last answer to a mail or campaign; null without one.",
            unit="days",
        ),
    )

    def horizon_days(self, domain: Domain) -> int:
        """Return how far the score looks from as_of on."""
        return domain.purchase_window_days

    def own(self, folder: Path, customers: pd.Index, as_of: date) -> pd.DataFrame:
        """Return how often and how lately each customer was written to, and answered."""
        since = as_of - timedelta(days=ASKED_DAYS)
        query = f"""SELECT customer_id,
                CAST($day AS date) - max(happened_on) AS contact_recency_days,
                count(*) FILTER (WHERE kind = 'mail_sent' AND happened_on >= $since) AS mails_90d,
                count(*) FILTER (WHERE kind <> 'mail_sent') AS answer_count,
                CAST($day AS date) - max(happened_on) FILTER (WHERE kind <> 'mail_sent')
                    AS answer_recency_days
            FROM {labels.contacts(folder)}
            WHERE happened_on < $day GROUP BY customer_id"""
        with duck.opened("campaign: mails and answers") as (db, _):
            found = db.execute(query, {"day": as_of, "since": since}).df()
        history = found.set_index("customer_id").astype("float64").reindex(customers)
        return history.fillna({"mails_90d": 0.0, "answer_count": 0.0})

    def labels(self, folder: Path, customers: pd.Index, as_of: date, days: int) -> pd.Series:
        """Return 1 where a mail was clicked or a campaign answered in the window, else 0."""
        return labels.answered(folder, customers, as_of, days)

    def ineligible(self, profiles: pd.DataFrame) -> pd.Series:
        """Return why there is nothing to answer: no mail and no answer lately."""
        reasons = pd.Series(None, index=profiles.index, dtype="object")
        reasons[~(profiles["contact_recency_days"] <= ASKED_DAYS)] = (
            f"no mail and no answer for more than {ASKED_DAYS} days"
        )
        return reasons

    def naive(self, profiles: pd.DataFrame) -> pd.Series:
        """Return the days since the last answer, negated; who never answered comes last."""
        return -profiles["answer_recency_days"].fillna(NEVER_DAYS).astype("float64")
