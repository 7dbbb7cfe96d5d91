"""Segments as a marketer writes them in ``segments.yaml``: a customer may be in several, or none.

What a rule may say is judged as that of an audience is; but it reads the columns of one profile
only, so that it is made with the learned segments and a misspelt column is found before.
"""

from datetime import date
from functools import cache
from pathlib import Path

import pandas as pd
from pydantic import Field, field_validator

from include import audiences, contracts, duck, listed
from include.domains import Strict
from include.errors import ConfigError

FILE = Path(__file__).parent.parent / "segments.yaml"
HELP = "docs/segments.md tells how to write one"
BESIDE = ("as_of", "segment_key", "rfm_code", "rfm_segment")  # what a rule may ask beside a profile


class RuleSegment(Strict):
    """One segment: who is in it, in SQL, and what to do."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")
    label: str = Field(min_length=1)
    rule: str = Field(min_length=1)
    action: str | None = None

    @field_validator("rule")
    @classmethod
    def one_condition(cls, rule: str) -> str:
        """Without what surrounds it; refused where it does more than ask one profile."""
        rule = rule.strip()
        if reason := audiences.refused(rule) or _beyond(rule):
            raise ValueError(reason)
        return rule


def _beyond(rule: str) -> str | None:
    """Why a rule needs more than the columns of one profile; None if it does not."""
    from sqlglot import exp, parse_one

    known = {column.name for column in contracts.load("mart.customer_profile").own_columns}
    for node in parse_one(f"SELECT (\n{rule}\n)", read="postgres").find_all(exp.Query, exp.Column):
        if isinstance(node, exp.Query) and node.parent is not None:
            return "holds a subquery; it asks the profile alone (an audience may ask more)"
        if isinstance(node, exp.Column) and node.name not in known | set(BESIDE):
            return f"{node.name} is no column of bi.customer_profile; look for a slip of the pen"
    return None


@cache
def load(file: Path = FILE) -> tuple[RuleSegment, ...]:
    """Read the segments, in the order of the file.

    Raises
    ------
    ConfigError
        Naming the place and the key that cannot be used.
    """
    return listed.read(file, RuleSegment, what="segment", advice=HELP)


def members(
    wanted: tuple[RuleSegment, ...], profile: Path, beside: pd.DataFrame, as_of: date
) -> pd.DataFrame:
    """rule_segment and customer_id of everyone who is in one, in this order.

    Parameters
    ----------
    profile : the file of the day's profiles.
    beside : segment_key, rfm_code and rfm_segment of each customer.

    Raises
    ------
    ConfigError
        If a rule cannot be run, as where a text is compared with a number.
    """
    import duckdb

    parts = []
    with duck.opened("rule segments") as (db, _):
        db.register("beside", beside[list(BESIDE[1:])].reset_index(names="customer_id"))
        db.execute(
            f"""CREATE TEMP TABLE asked AS SELECT *, DATE '{as_of}' AS as_of
                FROM read_parquet({duck.quoted(profile)}) JOIN beside USING (customer_id)"""
        )
        for segment in wanted:
            query = f"SELECT customer_id FROM asked WHERE (\n{segment.rule}\n) ORDER BY 1"
            try:
                found = db.sql(query).df()
            except duckdb.Error as error:
                said = " ".join(str(error).split())[:200]
                raise ConfigError(f"segments.yaml: {segment.name}: {said}; {HELP}") from error
            parts.append(found.assign(rule_segment=segment.name))
    if not parts:
        return pd.DataFrame({"rule_segment": [], "customer_id": []}, dtype="object")
    return pd.concat(parts, ignore_index=True)[["rule_segment", "customer_id"]]


def described(
    wanted: tuple[RuleSegment, ...], found: pd.DataFrame, profiles: pd.DataFrame
) -> pd.DataFrame:
    """A row a segment, also of one that nobody is in: its rule, size, share of revenue, action."""
    total = profiles["revenue"].sum()
    rows = []
    for segment in wanted:
        own = profiles.loc[found.loc[found["rule_segment"] == segment.name, "customer_id"]]
        rows.append({
            "rule_segment": segment.name,
            "label": segment.label,
            "rule": segment.rule,
            "customers": len(own),
            "customer_share": len(own) / max(1, len(profiles)),
            "revenue_share": round(own["revenue"].sum() / total, 9) + 0.0 if total > 0 else None,
            "suggested_action": segment.action,
        })
    columns = ["rule_segment", "label", "rule", "customers", "customer_share", "revenue_share"]
    return pd.DataFrame(rows, columns=[*columns, "suggested_action"])
