"""What may be written into the file of audiences, and what is said of the rest."""

import re
from pathlib import Path

import psycopg
import pytest

from include import audiences
from include.errors import ConfigError
from tests.marts.test_audiences import audience, counts, filled


@pytest.fixture
def db(warehouse_url):
    with psycopg.connect(warehouse_url, autocommit=True) as db:
        yield db


WRITTEN = """
- name: fans
  label: Fans
  description: Who buys much.
  owner: marketing
  purpose: marketing
  rule: order_count > 9
  control_share: 0.1
  outcome: purchase
  horizon_days: 30
"""


def read(tmp_path, *changes: tuple[str, str]):
    text = WRITTEN
    for old, new in changes:
        text = text.replace(old, new)
    (tmp_path / "audiences.yaml").write_text(text)
    return audiences.load(tmp_path / "audiences.yaml")


def test_a_list_is_read_as_it_is_written(tmp_path):
    (found,) = read(tmp_path)
    assert (found.name, found.rule, found.control_share) == ("fans", "order_count > 9", 0.1)
    (tmp_path / "none.yaml").write_text("# none yet\n")
    assert audiences.load(tmp_path / "none.yaml") == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([("purpose: marketing", "purpose: fun")], "fans.purpose: Input should be 'marketing', "),
        ([("0.1", "0.6")], "fans.control_share: Input should be less than or equal to 0.5"),
        ([("  owner: marketing\n", "")], "fans.owner: Field required"),
        ([("name: fans", "name: Our fans")], "Our fans.name: String should match pattern"),
        ([("- name: fans", "- name: [")], "not YAML: "),
        ([(WRITTEN, WRITTEN * 2)], "fans: stands there twice; give one another name"),
        ([(WRITTEN, "just a text")], "audience 0: Input should be a valid tuple"),
    ],
)
def test_what_is_wrong_in_the_file_is_said_in_one_line(tmp_path, changes, said):
    with pytest.raises(ConfigError) as raised:
        read(tmp_path, *changes)
    assert str(raised.value).startswith(f"audiences.yaml: {said}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("customer_id IN (SELECT customer_id FROM landing.customer)", "reads landing.customer"),
        ("EXISTS (SELECT FROM pg_roles)", "reads pg_roles"),
        ("customer_id IN (SELECT customer_id FROM bi.audience_member)", "reads bi.audience_member"),
        (
            "customer_id IN (SELECT n FROM generate_series(1, 9) AS n)",
            "reads GENERATE_SERIES(1, 9)",
        ),
        ("customer_id IN (WITH d AS (DELETE FROM bi.event RETURNING 1) TABLE d)", "holds WITH"),
        ("EXISTS (SELECT FROM bi.dim_customer FOR UPDATE)", "holds LOCK"),
        ("set_config('portrait.generation', '1', true) = '1'", "set_config() is not known"),
        ("ops.to_day(country) IS NULL", "to_day() is not known"),
        ("signup_date > current_date - 30", "asks for the clock"),
        ("first_order_date > now() - interval '1 day'", "asks for the clock"),
        ("random() < 0.1", "asks for the clock, the session or chance; use as_of"),
        ("true) OR (true", "must be one condition: a bracket is closed too early"),
        ("true) GROUP BY (customer_id", "must be one condition, as after WHERE"),
        ("true) UNION (SELECT 1, true, true", "must be one condition, as after WHERE"),
        ("true); DROP TABLE mart.audience; SELECT (1", "must be one condition, as after WHERE"),
        ("order_count >", "cannot be read as SQL"),
        ("country = 'NO", "cannot be read as SQL"),
        (" ", "must be one condition"),
    ],
)
def test_a_rule_reads_views_of_one_day_and_does_nothing_else(rule, said):
    with pytest.raises(ValueError, match="rule") as raised:
        audience(rule)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "rule",
    [
        "order_count > 3 -- regulars",
        "country IN ('NO', 'SE') AND NOT coalesce(is_company, false)",
        "signup_date >= as_of - 30 OR first_order_date >= as_of - interval '1 month'",
        "top_category LIKE 'Tea%' AND city ~ '^O{1,2}'",
        "customer_id IN (SELECT customer_id FROM bi.recommendation WHERE list = 'repeat')",
    ],
)
def test_a_plain_rule_is_taken_as_it_stands(db, rule):
    filled(db, {1: {}}, audience(rule))
    assert counts(db)[0][-1] is None


PAGE = Path(__file__).parent.parent / "docs" / "audiences.md"


@pytest.mark.parametrize("query", re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL))
def test_the_queries_of_the_page_run_as_bi_runs_them(query, warehouse):
    warehouse.execute("SET ROLE bi_reader")
    warehouse.execute(query).fetchall()


def test_the_audience_of_the_page_can_be_used(tmp_path):
    (written,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "audiences.yaml").write_text(written)
    (found,) = audiences.load(tmp_path / "audiences.yaml")
    assert found.rule == "rfm_segment = 'at_risk' AND revenue > 500"
