"""Pairs of records that a person decides: offered, confirmed or split, and kept to ever after."""

import logging

from include.domains import Identity
from include.errors import InputError
from include.warehouse import Connection, text

log = logging.getLogger(__name__)

DECISIONS = ("confirmed", "split")
DOUBTFUL = """FROM core.identity_evidence e
    JOIN core.identity a ON (a.source, a.source_id) = (e.source, e.source_id)
    JOIN core.identity b ON (b.source, b.source_id) = (e.other_source, e.other_source_id)
    WHERE e.probability >= %(review)s AND e.probability < %(link)s
    AND a.customer_id <> b.customer_id
    AND NOT EXISTS (SELECT FROM landing.customer x JOIN landing.customer y
        ON split_part(trim(x.person_key), ':', 1) = split_part(trim(y.person_key), ':', 1)
        AND trim(x.person_key) <> trim(y.person_key)
        WHERE (x.source, x.source_id) = (e.source, e.source_id)
        AND (y.source, y.source_id) = (e.other_source, e.other_source_id)
        AND x.person_key LIKE '%%:%%' AND y.person_key LIKE '%%:%%')"""
OFFER = f"""INSERT INTO ops.identity_review AS known (source, source_id, other_source,
        other_source_id, probability, weights, status, found_at)
    SELECT e.source, e.source_id, e.other_source, e.other_source_id, e.probability, e.weights,
        'open', clock_timestamp()
    {DOUBTFUL}
    ON CONFLICT (source, source_id, other_source, other_source_id) DO UPDATE
    SET probability = excluded.probability, weights = excluded.weights
    WHERE known.status = 'open' AND known.weights IS DISTINCT FROM excluded.weights"""
CLOSE = f"""DELETE FROM ops.identity_review WHERE status = 'open'
    AND (source, source_id, other_source, other_source_id) NOT IN (
    SELECT e.source, e.source_id, e.other_source, e.other_source_id {DOUBTFUL})"""
DECIDE = """INSERT INTO ops.identity_review AS known (source, source_id, other_source,
        other_source_id, probability, weights, status, found_at, decided_at, decided_by)
    SELECT %(s)s, %(i)s, %(os)s, %(oi)s, coalesce(max(probability), 0),
        coalesce((array_agg(weights))[1], '{}'), %(status)s, clock_timestamp(),
        clock_timestamp(), %(by)s
    FROM core.identity_evidence
    WHERE (source, source_id, other_source, other_source_id) = (%(s)s, %(i)s, %(os)s, %(oi)s)
    ON CONFLICT (source, source_id, other_source, other_source_id) DO UPDATE
    SET status = excluded.status, decided_at = excluded.decided_at,
        decided_by = excluded.decided_by"""
RECORDS = """SELECT source, source_id FROM core.identity
    WHERE source || ':' || source_id = ANY(%s)
    ORDER BY source COLLATE "C", source_id COLLATE "C" """

TOLD_APART = """SELECT 1 FROM landing.customer WHERE source || ':' || source_id = ANY(%s)
    GROUP BY split_part(trim(person_key), ':', 1)
    HAVING count(DISTINCT trim(person_key)) FILTER (WHERE person_key LIKE '%%:%%') > 1"""


def offer(db: Connection, rules: Identity) -> int:
    """Open the pairs that are in doubt now, close those that are no more; return how many wait."""
    band = {"review": rules.review, "link": rules.link}
    db.execute(text(OFFER), band)
    db.execute(text(CLOSE), band)
    row = db.execute("SELECT count(*) FROM ops.identity_review WHERE status = 'open'").fetchone()
    return int(row[0]) if row else 0


def decide(db: Connection, one: str, other: str, status: str, *, by: str) -> None:
    """Keep what a person says of two records, each ``source:source_id``; the next resolve acts.

    A pair that nobody was asked about may be decided, too: that is how a wrong link is undone.

    Raises
    ------
    InputError
        If there are no two such records, or they are to be one against their person_keys.
    """
    if status not in DECISIONS:
        raise InputError(f"review: {status}: give one of {', '.join(DECISIONS)}")
    pair = sorted({one.strip(), other.strip()})
    known = db.execute(RECORDS, [pair]).fetchall()
    if len(known) != 2:
        raise InputError(f"review: {one} and {other} are not two records: give source:source_id")
    if status == "confirmed" and db.execute(TOLD_APART, [pair]).fetchone():
        raise InputError(
            f"review: {one} and {other} have different ids of one system (person_key), which says "
            "that they are two; merge them there, and the next load joins them"
        )
    names = dict(zip(("s", "i", "os", "oi"), (*known[0], *known[1]), strict=True))
    db.execute(DECIDE, names | {"status": status, "by": by})
    log.info("review: one pair %s", status)
