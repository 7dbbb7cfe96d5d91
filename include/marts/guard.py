"""Does a generation differ more from the one before than a person expects?"""

from dataclasses import dataclass
from datetime import date

from include import domains, warehouse
from include.domains import Measure
from include.marts.generations import place

MEASURED = """
    SELECT 'customers' AS measure, '' AS of, count(*)::float8 AS value FROM {customer_profile}
    UNION ALL SELECT 'revenue', '', coalesce(sum(revenue), 0) FROM {dim_customer}
    UNION ALL SELECT 'products', '', count(*) FROM {dim_product}
    UNION ALL SELECT 'recommendations', '', coalesce(sum(customers), 0) FROM {recommended_product}
    UNION ALL SELECT 'scores', model, count(*) FROM {customer_score} GROUP BY model
"""
"""What is compared; the names are keys of ``guards.most_change_percent`` in the domain file."""
TABLES = (
    "customer_profile",
    "dim_customer",
    "dim_product",
    "recommended_product",
    "customer_score",
)


@dataclass(frozen=True)
class Jump:
    """A count that changed more than it may without a person's word."""

    what: str
    before: float
    after: float
    percent: int  # that it may change

    def __str__(self) -> str:
        """One line for a message: what, before, after."""
        changed = 100 * (self.after / self.before - 1)
        return (
            f"{self.what}: {self.before:,.0f} before, {self.after:,.0f} now "
            f"({changed:+.0f} %, allowed are {self.percent} %)"
        )


def reasons(db: warehouse.Connection, *, generation: int, as_of: date) -> list[str]:
    """Why a person should look before BI is switched to this generation; empty when nothing is odd.

    It is compared with the newest kept generation of the same or an earlier day; where that is
    further away than ``guards.within_days``, or there is none, any count is right: a past day was
    asked for. What was empty before may come. After a rollback the next publish asks, whatever it
    counts.
    """
    guards = domains.load().guards
    said = [*_rolled_back(db)]
    before = db.execute(
        """SELECT generation, as_of FROM ops.generation
           WHERE status = 'ready' AND as_of BETWEEN %s - %s::int AND %s AND generation <> %s
           ORDER BY as_of DESC, generation DESC LIMIT 1""",
        [as_of, guards.within_days, as_of, generation],
    ).fetchone()
    if before is not None:
        known, found = _measure(db, before[0]), _measure(db, generation)
        for (measure, of), value in known.items():
            allowed, now = guards.most_change_percent[measure], found.get((measure, of), 0.0)
            if value > 0 and abs(now - value) * 100 > allowed * value:
                said.append(str(Jump(f"{measure} {of}".strip(), value, now, allowed)))
    return said


def _measure(db: warehouse.Connection, generation: int) -> dict[tuple[Measure, str], float]:
    places = {table: place(table, generation) for table in TABLES}
    rows = db.execute(warehouse.text(MEASURED.format(**places))).fetchall()
    return {(measure, of): value for measure, of, value in rows}


def _rolled_back(db: warehouse.Connection) -> list[str]:
    row = db.execute(
        """SELECT c.generation, max(g.generation) FROM ops.current_generation AS c
           JOIN ops.generation AS g ON g.status = 'ready' GROUP BY c.generation"""
    ).fetchone()
    if row is None or row[0] == row[1]:
        return []
    return [
        f"BI was rolled back from generation {row[1]} to {row[0]}, and stays there until you say so"
    ]
