"""Every feature tells something, and no two candidates tell the same, on the generated CRM."""

from datetime import UTC, date, datetime

import pandas as pd
import psycopg
import pytest

from include import identity, landing, profile, snapshot, sources
from include.local import crm, retail_file
from tests.flow.conftest import copy_database, nothing_set
from tests.snapshots import write_snapshot

AS_OF, LAST_DAY = date(2026, 3, 2), date(2026, 3, 1)
REAL_AS_OF = date(2011, 9, 10)
ALIKE = 0.999
# The real shop's file has no interactions, ratings, consents, categories, brands, channels,
# discounts or sign-ups, of a person the country alone (no name, no e-mail), and of tickets the
# cancellations alone, which are orders of their own: none is in a state that is left out.
LACKING = """region city language age_band gender is_company signup_date consent_marketing
    consent_personalisation last_consent_date discount_share discounted_line_share top_category
    top_category_share category_count category_entropy top_brand top_brand_share brand_count
    preferred_channel top_channel_share channel_count last_category previous_category
    top_need_category first_answer_hours_mean first_answer_hours_longest solve_hours_mean
    reopened_tickets reopened_share tenure_days signup_to_order_days city_customers
    is_staff is_test left_out_order_count"""
LACKING_THEMES = ("rating", "visit", "view", "cart", "mail", "campaign")


@pytest.fixture(scope="module")
def taken(postgres_url, deployed_template, tmp_path_factory):
    """Call with what fills the CRM: gives the folder of a snapshot of it."""

    def take(fill, **settings):
        folder = tmp_path_factory.mktemp("taken")
        names = [copy_database(postgres_url, name) for name in ("template1", deployed_template)]
        shop, target = (psycopg.conninfo.make_conninfo(postgres_url, dbname=name) for name in names)
        with psycopg.connect(shop) as db:
            fill(db, folder / "support.sqlite")
        settings |= {
            "AIRFLOW_CONN_SHOP": f"{postgres_url.rpartition('/')[0]}/{names[0]}",
            "AIRFLOW_CONN_SUPPORT": f"sqlite:///{folder / 'support.sqlite'}",
        }
        with nothing_set(**settings), psycopg.connect(target, autocommit=True) as db:
            for source in map(sources.load, sources.switched_on()):
                for entity in source.entities:
                    landing.load(source, entity, db, run_id="taken")
            identity.resolve(db, run_id="taken")
            return snapshot.take(db, folder / "snapshots", run_id="taken")

    return take


@pytest.fixture(scope="module")
def generated_shop(taken, tmp_path_factory):
    """The snapshot of a generated CRM, and the truth about its records."""
    truth = tmp_path_factory.mktemp("truth") / "truth.json"

    def fill(shop, support):
        now = datetime(2026, 3, 2, tzinfo=UTC)
        crm.generate(shop, support, customers=2000, days=600, last_day=LAST_DAY, now=now,
                     truth=truth)  # fmt: skip

    return taken(fill), pd.read_parquet(truth.with_suffix(".record.parquet"))


@pytest.fixture(scope="module")
def generated(generated_shop):
    """Its profile."""
    return profile.frame(generated_shop[0], AS_OF)


def constant(profiles: pd.DataFrame) -> set[str]:
    return {name for name in profiles if profiles[name].nunique() < 2}


def test_there_are_at_least_80_features_and_none_is_constant(generated):
    assert len(generated.columns) >= 80
    assert constant(generated) == set()


@pytest.mark.parametrize("flag", ["is_staff", "is_test"])
def test_the_planted_staff_and_test_accounts_are_flagged_and_nobody_else(generated_shop, flag):
    folder, truth = generated_shop
    records = pd.read_parquet(folder / "customer.parquet")
    records = records.merge(truth, on=["source", "source_id"], suffixes=("", "_planted"))
    flagged = set(records.loc[records[flag], "person"])
    planted = set(records.loc[records[f"{flag}_planted"], "person"])
    assert flagged <= planted
    assert len(flagged) >= 0.7 * len(planted) > 2  # who left no e-mail, or another one, is missed
    found = profile.frame(folder, AS_OF)
    customers = records.loc[records[flag], "customer_id"].unique()
    assert set(found.index[found[flag]]) == set(customers)


def test_no_two_candidates_of_models_say_the_same(generated):
    names = [
        column.name
        for column in profile.features()
        if generated[column.name].dtype == "float64" and column.missing != "null"
    ]
    assert len(names) >= 80
    alike = generated[names].corr(min_periods=50).abs()
    pairs = {
        (one, other, round(alike.loc[one, other], 5))
        for place, one in enumerate(names)
        for other in names[place + 1 :]
        if alike.loc[one, other] > ALIKE
    }
    assert pairs == set()


def test_of_the_real_shop_only_that_is_constant_which_its_file_lacks(taken, shared_data):
    file = shared_data("online_retail") / "online_retail.parquet"
    folder = taken(lambda *place: retail_file.load(file, *place), PORTRAIT_DOMAIN="british_gifts")
    found = constant(profile.frame(folder, REAL_AS_OF))
    assert {
        name for name in found - set(LACKING.split()) if not any(map(name.count, LACKING_THEMES))
    } == set()


def test_what_the_calendar_alone_moves_is_not_kept_in_the_history(tmp_path, line):
    days = ["2025-02-01", "2025-02-11", "2025-03-01", "2025-06-01"]
    kinds = ["visit", "view", "cart", "mail_open", "mail_click"]
    folder = write_snapshot(
        tmp_path,
        customer=[{"customer_id": 1, "signup_on": "2025-01-01"}],
        order_line=[line(1, day, day) for day in days],
        interaction=[{"customer_id": 1, "kind": k, "happened_at": "2025-05-01"} for k in kinds],
        ticket=[{"customer_id": 1, "ticket_id": "t", "opened_at": "2025-05-01"}],
        feedback=[{"customer_id": 1, "feedback_id": "f", "given_at": "2025-05-01", "rating": 3}],
    )
    [one], [other] = (
        profile.frame(folder, date(2025, 9, day)).to_dict("records") for day in (13, 14)
    )
    moved = {name for name in one if not (pd.isna(one[name]) or one[name] == other[name])}
    assert moved == {column.name for column in profile.features() if not column.in_history}
