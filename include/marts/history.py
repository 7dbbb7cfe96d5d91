"""What the profiles said on each published day: ``mart.customer_profile_history``."""

import logging

from include import contracts, warehouse

log = logging.getLogger(__name__)

KEYS = ("customer_id", "from_as_of", "to_as_of")


def keep(db: warehouse.Connection, published: str) -> int:
    """Write down what the profiles in ``published`` say otherwise than before; return the rows.

    A day that is published again replaces what it said. A day before the newest one is not written
    down: what is known now was not known then.

    Parameters
    ----------
    db : in the transaction that publishes.
    published : the table that holds one generation of the profile, all of one as_of.
    """
    kept = contracts.profile_history(contracts.load("mart.customer_profile"))
    row = db.execute(
        warehouse.text(
            f"""SELECT max(as_of), (SELECT max(from_as_of) FROM {kept.full_name})
                FROM {published}"""
        )
    ).fetchone()
    day, newest = row or (None, None)
    if day is None or (newest is not None and newest > day):
        log.info("the profiles of %s are older than the history: it stays as it is", day)
        return 0
    names = [column.name for column in kept.columns if column.name not in KEYS]
    listed = ", ".join(warehouse.quoted(name) for name in names)
    new, old = (
        ", ".join(f'n."{name}"' for name in names),
        ", ".join(f'h."{name}"' for name in names),
    )
    gone_or_other = f"""h.to_as_of IS NULL AND NOT EXISTS (
        SELECT FROM {published} AS n WHERE n.customer_id = h.customer_id
        AND ({new}) IS NOT DISTINCT FROM ({old}))"""
    db.execute(
        warehouse.text(
            f"""WITH undone AS (
                    DELETE FROM {kept.full_name} AS h WHERE h.from_as_of = %(day)s
                    AND {gone_or_other} RETURNING customer_id)
                UPDATE {kept.full_name} AS h SET to_as_of = NULL FROM undone
                WHERE h.customer_id = undone.customer_id AND h.to_as_of = %(day)s"""
        ),
        {"day": day},
    )
    db.execute(
        warehouse.text(f"UPDATE {kept.full_name} AS h SET to_as_of = %s WHERE {gone_or_other}"),
        [day],
    )
    return db.execute(
        warehouse.text(
            f"""INSERT INTO {kept.full_name} (customer_id, from_as_of, {listed})
                SELECT n.customer_id, %s, {new} FROM {published} AS n WHERE NOT EXISTS (
                    SELECT FROM {kept.full_name} AS h
                    WHERE h.customer_id = n.customer_id AND h.to_as_of IS NULL)"""
        ),
        [day],
    ).rowcount
