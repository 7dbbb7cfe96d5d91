"""Telephone numbers in full (E.164): the SQL of DuckDB that writes and compares them.

A number without ``+`` is one of its record's country; where that is not known either, it stays as
it is, and is compared by its last nine digits, which say the same with and without the rest.
"""

from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import yaml

HERE = Path(__file__).parent
LONGEST = 9  # digits of a national number, where calling.yaml says no other


@cache
def _plans() -> dict[str, dict[str, Any]]:
    raw: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "calling.yaml").read_bytes())
    return raw


def prepare(db: duckdb.DuckDBPyConnection) -> None:
    """Make the macros ``e164(number, plan)`` and ``calling_code(number)``; needs ``name``.

    The table ``calling`` has the plan of a country, once for each way to write its name.
    """
    rows = [
        (said, str(plan["code"]), plan.get("trunk", ""), plan.get("longest", LONGEST))
        for country, plan in _plans().items()
        for said in (country, *plan["names"])
    ]
    columns = zip(("said", "code", "trunk", "longest"), zip(*rows, strict=True), strict=True)
    db.register("calling_given", pa.table({name: pa.array(values) for name, values in columns}))
    db.execute("""CREATE OR REPLACE TEMP TABLE calling AS
        SELECT DISTINCT name(said) AS home, {code: code, trunk: trunk, longest: longest} AS plan
        FROM calling_given""")
    db.unregister("calling_given")
    codes = {str(plan["code"]) for plan in _plans().values()}
    zero = {str(plan["code"]) for plan in _plans().values() if plan.get("trunk") == "0"}
    db.execute(rf"""
CREATE OR REPLACE TEMP MACRO calling_code(x) AS
    nullif(regexp_extract(x, '^\+({_any(codes)})', 1), '');
CREATE OR REPLACE TEMP MACRO undialled(x) AS  -- from "ext." or "x" on it is an extension
    regexp_replace(lower(CAST(x AS text)), '(ext|x|#|;).*$', '');
CREATE OR REPLACE TEMP MACRO digits(x) AS regexp_replace(x, '[^0-9]+', '', 'g');
CREATE OR REPLACE TEMP MACRO abroad(x) AS  -- a trunk zero is not dialled from abroad
    '+' || regexp_replace(ltrim(digits(replace(x, '(0)', '')), '0'), '^({_any(zero)})0', '\1');
CREATE OR REPLACE TEMP MACRO within(x, plan) AS CASE
    WHEN plan IS NULL THEN ltrim(x, '0')
    WHEN length(x) >= 8 AND plan.trunk <> '' AND starts_with(x, plan.trunk)
        AND (plan.trunk[1] = '0' OR length(x) > plan.longest)
    THEN '+' || plan.code || substr(x, length(plan.trunk) + 1)
    WHEN length(x) > plan.longest AND starts_with(x, plan.code) THEN '+' || x
    WHEN length(x) >= CASE plan.trunk WHEN '' THEN 7 ELSE 9 END THEN '+' || plan.code || x
    ELSE ltrim(x, '0') END;
CREATE OR REPLACE TEMP MACRO e164(x, plan) AS CASE
    WHEN regexp_matches(undialled(x), '^[^0-9]*(\+[^0-9]*|00[^0-9]*)[1-9]')
    THEN abroad(undialled(x)) ELSE within(digits(undialled(x)), plan) END
""")


def plan(country: str) -> str:
    """SQL of the plan of the country that an expression names; null where it is not known."""
    return f"(SELECT plan FROM calling WHERE home = name({country}))"


def _any(codes: set[str]) -> str:
    """A regular expression: no calling code begins another one."""
    return "|".join(sorted(codes))
