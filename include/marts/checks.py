"""What must hold between the tables of one generation, before BI sees them."""

from datetime import date

from include import domains, warehouse
from include.errors import QualityError
from include.marts import IN_DATABASE, MARTS
from include.marts.generations import place

# What must hold between the tables of one generation: (what, SQL that counts what breaks it).
# Customers are looked up in the narrow dimension, which one of them holds against the profile.
CONSISTENT = [
    (
        "every member of a segment has a profile",
        """SELECT count(*) FROM {customer_segment} AS s LEFT JOIN {dim_customer} AS p
           USING (customer_id) WHERE p.customer_id IS NULL""",
    ),
    (
        "the customers of the segments add up to their members",
        """SELECT abs((SELECT coalesce(sum(customers), 0) FROM {segment})
                    - (SELECT count(*) FROM {customer_segment}))""",
    ),
    (
        "the migration adds up to the members",
        """SELECT abs((SELECT coalesce(sum(customers), 0) FROM {segment_migration}
                       WHERE to_key <> '(gone)') - (SELECT count(*) FROM {customer_segment}))""",
    ),
    (
        "every recommendation is for a customer with a profile",
        """SELECT count(*) FROM {recommendation} AS r LEFT JOIN {dim_customer} AS p
           USING (customer_id) WHERE p.customer_id IS NULL""",
    ),
    (
        "every score is for a customer with a profile",
        """SELECT count(*) FROM {customer_score} AS c LEFT JOIN {dim_customer} AS p
           USING (customer_id) WHERE p.customer_id IS NULL""",
    ),
    (
        "every profile is in a segment and in the dimension",
        """SELECT count(*) FROM {customer_profile} AS p
           FULL JOIN {dim_customer} AS d USING (customer_id)
           LEFT JOIN {customer_segment} AS s USING (customer_id)
           WHERE s.customer_id IS NULL OR d.customer_id IS NULL OR p.customer_id IS NULL""",
    ),
    (
        "every segment of a member is described",
        """SELECT count(*) FROM {customer_segment} AS m LEFT JOIN {segment} AS s
           USING (segment_key) WHERE s.segment_key IS NULL""",
    ),
    (
        "who stayed a customer adds up in the migration",
        """SELECT abs((SELECT coalesce(sum(customers), 0) FROM {segment_migration}
                       WHERE from_key <> '(new)' AND to_key <> '(gone)')
                    - (SELECT count(previous_segment_key) FROM {customer_segment}))""",
    ),
    (
        "every recommended product is known",
        """SELECT count(*) FROM {recommended_product} AS r LEFT JOIN {dim_product} AS p
           USING (product_id) WHERE p.product_id IS NULL""",
    ),
    (
        "the recommended products add up to the recommendations",
        """SELECT abs((SELECT coalesce(sum(customers), 0) FROM {recommended_product})
                    - (SELECT count(*) FROM {recommendation}))""",
    ),
    (
        "every similar product is known",
        """SELECT count(*) FROM {product_similarity} AS s
           LEFT JOIN {dim_product} AS p USING (product_id)
           LEFT JOIN {dim_product} AS o ON o.product_id = s.similar_product_id
           WHERE p.product_id IS NULL OR o.product_id IS NULL""",
    ),
    (
        "every bundled product is known",
        """SELECT count(*) FROM {bundle} AS b
           LEFT JOIN {dim_product} AS p USING (product_id)
           LEFT JOIN {dim_product} AS o ON o.product_id = b.with_product_id
           WHERE p.product_id IS NULL OR o.product_id IS NULL""",
    ),
    (
        "every customer of a product's audience has a profile, and the product is known",
        """SELECT count(*) FROM {product_audience} AS a
           LEFT JOIN {dim_product} AS p USING (product_id)
           LEFT JOIN {dim_customer} AS c USING (customer_id)
           WHERE p.product_id IS NULL OR c.customer_id IS NULL""",
    ),
    (
        "nobody is in a product's audience who refused it",
        """SELECT count(*) FROM {product_audience} AS a JOIN {dim_customer} AS p
           USING (customer_id) WHERE NOT coalesce(p.consent_personalisation, {allowed})""",
    ),
    (
        "nobody gets a list who refused it",
        """SELECT count(*) FROM {recommendation} AS r JOIN {dim_customer} AS p
           USING (customer_id) WHERE NOT coalesce(p.consent_personalisation, {allowed})""",
    ),
    ("there is at least one profile", "SELECT (count(*) = 0)::int FROM {customer_profile}"),
]
AUDIENCES = [
    (
        "nobody is in an audience who refused it",
        """SELECT count(*) FROM {audience_member} AS m JOIN {audience} AS a USING (audience)
           JOIN {customer_profile} AS p USING (customer_id)
           WHERE NOT coalesce(CASE a.purpose WHEN 'marketing' THEN p.consent_marketing
               WHEN 'personalisation' THEN p.consent_personalisation ELSE true END, {allowed})""",
    ),
    (
        "every member of an audience has a profile",
        """SELECT count(*) FROM {audience_member} AS m LEFT JOIN {customer_profile} AS p
           USING (customer_id) WHERE p.customer_id IS NULL""",
    ),
    (
        "the audiences add up to their members",
        """SELECT abs((SELECT coalesce(sum(members), 0) FROM {audience})
                    - (SELECT count(*) FROM {audience_member}))""",
    ),
]


def check(
    db: warehouse.Connection,
    *,
    generation: int,
    as_of: date,
    run_id: str,
    rules: list[tuple[str, str]] = CONSISTENT,
) -> None:
    """Hold the tables of one generation against each other, before BI sees them.

    Raises
    ------
    QualityError
        Naming what does not hold; every result is in ``ops.quality_result``.
    """
    allowed = str(domains.load().consent_default == "allowed")
    places = {table: place(table, generation) for table in [*MARTS, *IN_DATABASE]}
    broken = []
    with db.transaction():
        for what, query in rules:
            row = db.execute(warehouse.text(query.format(**places, allowed=allowed))).fetchone()
            failing = int(row[0]) if row else 0
            if failing:
                broken.append(f"{what} ({failing} do not)")
            db.execute(
                """INSERT INTO ops.quality_result (run_id, table_name, source, "check", as_of,
                       recorded_at, passed, observed, failing_rows, severity)
                   VALUES (%s, 'mart', '', %s, %s, now(), %s, %s, %s, 'error')
                   ON CONFLICT (run_id, table_name, source, "check") DO UPDATE
                   SET passed = excluded.passed, observed = excluded.observed,
                       failing_rows = excluded.failing_rows, recorded_at = excluded.recorded_at""",
                [run_id, what, as_of, not failing, f"found {failing}", failing],
            )
    if broken:
        raise QualityError(
            f"generation {generation}: {'; '.join(broken)}; BI keeps the last good generation; "
            "clear the publish run's first task once the cause is mended"
        )
