"""Who is on which audience: filled by PostgreSQL from the views of BI, of one generation."""

import logging
from collections.abc import Sequence
from datetime import date

import psycopg
from psycopg import sql

from include import audiences, contracts, domains, warehouse
from include.audiences import Audience
from include.marts.fill import count, make
from include.marts.generations import is_attached, pin, place

log = logging.getLogger(__name__)

PATIENCE_S = 120  # for the rule of one audience; five take seconds with a million customers

EXCLUDED = """CREATE TEMP TABLE excluded ON COMMIT DROP AS
    SELECT customer_id FROM bi.customer_profile WHERE is_staff OR is_test"""

# the first 8 hexadecimal digits of a hash as a number, against the same share of 2^32
GROUP = """CASE WHEN ('x' || left(md5({audience} || ':' || customer_id), 8))::bit(32)::bigint
                    < {control_share} * 4294967296 THEN 'control' ELSE 'treatment' END"""

STAYED = """customer_id IN (SELECT customer_id FROM mart.audience_member_history
                            WHERE audience = '{}' AND to_as_of IS NULL)"""

# who left on this very day is here again when the day is published again
MEMBERS = f"""
    WITH member AS (
        INSERT INTO {{members}} (audience, customer_id, split_group, since)
        SELECT {{audience}}, customer_id, p.split_group, coalesce(h.from_as_of, {{as_of}})
        FROM (SELECT customer_id, {GROUP} AS split_group FROM pg_temp.picked WHERE agreed) AS p
        LEFT JOIN (
            SELECT customer_id, split_group, min(from_as_of) AS from_as_of
            FROM mart.audience_member_history
            WHERE audience = {{audience}} AND from_as_of <= {{as_of}}
            AND (to_as_of IS NULL OR to_as_of >= {{as_of}}) GROUP BY customer_id, split_group
        ) AS h USING (customer_id, split_group)
        RETURNING split_group)
    INSERT INTO {{audiences}} (audience, label, description, owner, purpose, rule, control_share,
        outcome, horizon_days, members, treatment, control, without_consent, problem)
    SELECT {{audience}}, {{label}}, {{description}}, {{owner}}, {{purpose}}, {{rule}},
        {{control_share}}, {{outcome}}, {{horizon_days}}, count(*),
        count(*) FILTER (WHERE split_group = 'treatment'),
        count(*) FILTER (WHERE split_group = 'control'),
        (SELECT count(*) FROM pg_temp.picked WHERE NOT agreed), {{problem}}
    FROM member"""


def fill(
    db: warehouse.Connection,
    *,
    generation: int,
    as_of: date,
    wanted: Sequence[Audience] | None = None,
) -> int:
    """Make this generation's ``audience`` and ``audience_member``; return the members of all.

    Its other tables are attached already: rules read them through the views of BI. Where a rule
    cannot be run, the audience says why in ``problem``, and who was on it stays on it; the other
    tables are worth publishing without.

    Parameters
    ----------
    wanted : the audiences; None: those of ``audiences.yaml``.
    """
    places = {table: place(table, generation) for table in ("audience", "audience_member")}
    if is_attached(db, places["audience_member"]):  # a cleared task of a publish that is further on
        return count(db, places["audience_member"])
    wanted = audiences.load() if wanted is None else wanted
    with db.transaction():
        pin(db, generation)
        for table, target in places.items():
            make(db, contracts.load(f"mart.{table}"), target, generation, as_of)
        db.execute(EXCLUDED)
        for audience in wanted:
            _fill(db, audience, as_of, places)
        for table, target in places.items():
            keys = map(sql.Identifier, contracts.load(f"mart.{table}").key)
            db.execute(
                sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(
                    warehouse.name(target), sql.SQL(", ").join(keys)
                )
            )
            db.execute(sql.SQL("ANALYZE {}").format(warehouse.name(target)))
        members = count(db, places["audience_member"])
    log.info("filled %d audiences with %d members", len(wanted), members)
    return members


def _fill(
    db: warehouse.Connection, audience: Audience, as_of: date, places: dict[str, str]
) -> None:
    values = {name: sql.Literal(value) for name, value in audience.model_dump().items()}
    values |= {"audience": sql.Literal(audience.name), "as_of": sql.Literal(as_of)}
    problem = None
    try:
        with db.transaction():  # what fails in a rule takes nothing else with it
            _pick(db, audience, audience.rule)
    except (psycopg.ProgrammingError, psycopg.DataError, psycopg.errors.QueryCanceled) as error:
        problem = " ".join((error.diag.message_primary or str(error)).split())
        log.warning("audience %s: its rule cannot be run: %s", audience.name, problem)
        _pick(db, audience, STAYED.format(audience.name))
    db.execute(
        warehouse.text(MEMBERS).format(
            **values,
            problem=sql.Literal(problem),
            members=warehouse.name(places["audience_member"]),
            audiences=warehouse.name(places["audience"]),
        )
    )
    db.execute("DROP TABLE pg_temp.picked")


def _pick(db: warehouse.Connection, audience: Audience, rule: str) -> None:
    """The customers of whom a rule holds, and whether they agreed to be on the audience."""
    allowed = domains.load().consent_default == "allowed"
    agreed = "true" if audience.purpose == "none" else f"consent_{audience.purpose}"
    db.execute(warehouse.text(f"SET LOCAL statement_timeout = '{PATIENCE_S}s'"))
    db.execute(
        sql.SQL(
            """CREATE TEMP TABLE picked ON COMMIT DROP AS
               SELECT customer_id, coalesce({}, {}) AS agreed FROM ({}) AS p
               WHERE NOT EXISTS (
                   SELECT FROM pg_temp.excluded AS e WHERE e.customer_id = p.customer_id)"""
        ).format(
            warehouse.text(agreed), sql.Literal(allowed), warehouse.text(audiences.picked(rule))
        )
    )
    db.execute("SET LOCAL statement_timeout TO DEFAULT")
