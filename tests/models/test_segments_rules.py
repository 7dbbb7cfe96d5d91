"""Segments by rule: who is in them, and what a rule may not say."""

from pathlib import Path

import pandas as pd
import pytest

from include.errors import ConfigError
from include.models import rule_segments, segments
from tests.models.conftest import AS_OF
from tests.models.test_train import order
from tests.snapshots import write_snapshot


def file(tmp_path: Path, rule: str, name: str = "mine") -> Path:
    path = tmp_path / "segments.yaml"
    path.write_text(f"- name: {name}\n  label: Mine\n  rule: |\n    {rule}\n")
    return path


def test_the_shipped_rules_can_be_used_and_run(warehouse, habits, tmp_path):
    segments.assign(warehouse, habits, AS_OF, tmp_path)
    table = pd.read_parquet(tmp_path / "rule_segment.parquet").set_index("rule_segment")
    found = pd.read_parquet(tmp_path / "rule_segment_member.parquet")
    assert table.index.tolist() == [segment.name for segment in rule_segments.load()]
    assert found["rule_segment"].value_counts().to_dict() == {
        name: count for name, count in table["customers"].items() if count
    }
    assert set(found["rule_segment"]) == {"gone_quiet"}


def test_a_customer_is_in_every_segment_whose_rule_holds(warehouse, tmp_path, monkeypatch):
    lines = [order(1, "2026-05-01"), order(1, "2026-05-20"), order(2, "2026-05-01")]
    folder = write_snapshot(tmp_path, order_line=lines)
    wanted = tuple(
        rule_segments.RuleSegment(name=name, label=name, rule=rule)
        for name, rule in {
            "buyers": "order_count > 0  -- everybody",
            "many": "order_count = 2 AND last_order_at >= as_of - 90",
            "none": "rfm_segment = 'prospect'",
        }.items()
    )
    monkeypatch.setattr(rule_segments, "load", lambda: wanted)
    segments.assign(warehouse, folder, AS_OF, tmp_path)
    found = pd.read_parquet(tmp_path / "rule_segment_member.parquet")
    assert list(found.itertuples(index=False, name=None)) == [
        ("buyers", 1),
        ("buyers", 2),
        ("many", 1),
    ]
    table = pd.read_parquet(tmp_path / "rule_segment.parquet")
    assert table[["rule_segment", "customers", "customer_share"]].values.tolist() == [
        ["buyers", 2, 1.0],
        ["many", 1, 0.5],
        ["none", 0, 0.0],
    ]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("order_cout > 1", "order_cout is no column of bi.customer_profile"),
        ("order_count >", "cannot be read as SQL"),
        ("true); DROP TABLE x; SELECT (true", "must be one condition"),
        ("signup_date > current_date - 3", "asks for the clock"),
        ("pg_sleep(3) IS NULL", "is not known to be harmless"),
        (
            "customer_id IN (SELECT customer_id FROM bi.dim_customer)",
            "holds a subquery; it asks the profile alone",
        ),
    ],
)
def test_a_rule_that_does_more_than_ask_a_profile_is_refused(tmp_path, rule, said):
    with pytest.raises(ConfigError) as refused:
        rule_segments.load(file(tmp_path, rule))
    assert str(refused.value).startswith("segments.yaml: mine.rule: ")
    assert said in str(refused.value)


def test_a_rule_that_cannot_be_run_names_its_segment(warehouse, tmp_path, monkeypatch):
    folder = write_snapshot(tmp_path, order_line=[order(1, "2026-05-01")])
    odd = rule_segments.RuleSegment(name="odd", label="Odd", rule="rfm_segment + 1 = 2")
    monkeypatch.setattr(rule_segments, "load", lambda: (odd,))
    with pytest.raises(ConfigError, match=r"segments\.yaml: odd: "):
        segments.assign(warehouse, folder, AS_OF, tmp_path)


def test_a_file_without_segments_gives_none(tmp_path):
    path = tmp_path / "segments.yaml"
    path.write_text("# none yet\n")
    assert rule_segments.load(path) == ()


def test_a_name_may_stand_there_once(tmp_path):
    path = file(tmp_path, "order_count > 1")
    path.write_text(path.read_text() * 2)
    with pytest.raises(ConfigError, match="mine: stands there twice"):
        rule_segments.load(path)
