"""Lists of customers as a marketer writes them in ``audiences.yaml``; ``marts.audiences`` fills."""

from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from include import listed
from include.domains import Strict

FILE = Path(__file__).with_name("audiences.yaml")
HELP = "docs/audiences.md tells how to write one"
CHANGING = ("Current", "Local", "Rand", "Uuid")  # how sqlglot's names of such functions begin


class Audience(Strict):
    """One list: who is on it, what for, and how its effect is measured."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")
    label: str = Field(min_length=1)
    description: str
    owner: str
    purpose: Literal["marketing", "personalisation", "none"]
    rule: str = Field(min_length=1)
    control_share: float = Field(ge=0, le=0.5)
    outcome: Literal["purchase", "revenue"]
    horizon_days: int = Field(ge=1, le=730)

    @field_validator("rule")
    @classmethod
    def one_condition(cls, rule: str) -> str:
        """Without what surrounds it; refused where it does more than ask views of one day."""
        rule = rule.strip()
        if reason := refused(rule):
            raise ValueError(reason)
        return rule


def picked(rule: str) -> str:
    """The customers of whom ``rule`` holds; on lines of its own, for it may end with a comment."""
    return (
        "SELECT customer_id, consent_marketing, consent_personalisation "
        f"FROM bi.dim_customer WHERE (\n{rule}\n)"
    )


def refused(rule: str) -> str | None:
    """Why ``rule`` is no condition that reads views of ``bi`` and nothing else; None if it is."""
    import sqlglot
    from sqlglot import exp

    try:
        trees = sqlglot.parse(picked(rule), read="postgres")
    except sqlglot.errors.SqlglotError:
        return "cannot be read as SQL: look for a bracket, a quote or a word too many or too few"
    tree = trees[0]
    parts = {name for name, part in tree.args.items() if part}
    if len(trees) > 1 or parts != {"expressions", "from_", "where"}:
        return "must be one condition, as after WHERE"
    if not isinstance(tree.args["where"].this, exp.Paren):
        return "must be one condition: a bracket is closed too early"
    return next(filter(None, map(_refused_part, tree.walk())), None)


def _refused_part(node: Any) -> str | None:
    from sqlglot import exp

    if isinstance(node, (exp.With, exp.Lock, exp.Into)):
        return f"holds {type(node).__name__.upper()}; use plain subqueries"
    if isinstance(node, exp.Func) and type(node).__name__.startswith(CHANGING):
        return "asks for the clock, the session or chance; use as_of, the day of the publish"
    if isinstance(node, exp.Anonymous):
        return f"{node.name}() is not known to be harmless; do without"
    if isinstance(node, exp.Table) and not (node.db == "bi" and node.name):
        return f"reads {node.sql()}; it reads views of bi, written bi.<view>"
    if isinstance(node, exp.Table) and node.name.lower().startswith("audience"):
        return f"reads {node.sql()}; an audience does not look at audiences"
    return None


@cache
def load(file: Path = FILE) -> tuple[Audience, ...]:
    """Read the audiences, in the order of the file.

    Raises
    ------
    ConfigError
        Naming the audience and the key that cannot be used.
    """
    return listed.read(file, Audience, what="audience", advice=HELP)
