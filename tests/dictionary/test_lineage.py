"""Where does a column come from?"""

from itertools import pairwise

import pytest

from include import contracts, marts, sources
from include.dictionary.lineage import graph, layer, made_by
from include.dictionary.origins import Field, Names, origins
from include.paths import ROOT
from include.snapshot.schema import SCHEMA

COLUMNS = {"a": ["id", "x", "y"], "b": ["id", "z"]}


def of(query: str, dialect: str = "duckdb", **columns: list[str]) -> dict[str, list[str]]:
    """What each column of a query comes from, over the tables a and b."""
    found = origins(query, dialect, Names(columns or COLUMNS))
    return {column: sorted(map(str, fields)) for column, fields in found.items()}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT x AS one, y + 1 AS two FROM a", {"one": ["a.x"], "two": ["a.y"]}),
        ("SELECT x FROM a JOIN b USING (id) WHERE y > 0", {"x": ["a.x"]}),
        ("SELECT z FROM a JOIN b USING (id) WHERE y > 0", {"z": ["b.z"]}),
        ("WITH c AS (SELECT max(y) AS m FROM a) SELECT m AS n FROM c", {"n": ["a.y"]}),
        ("SELECT x FROM a UNION ALL SELECT z FROM b", {"x": ["a.x", "b.z"]}),
        ("SELECT CASE WHEN x > 0 THEN y END AS v FROM a", {"v": ["a.x", "a.y"]}),
        ("SELECT id, (SELECT max(z) FROM b) AS m FROM a", {"id": ["a.id"], "m": ["b.z"]}),
        ("SELECT rank() OVER w AS r FROM a WINDOW w AS (ORDER BY y)", {"r": ["a.y"]}),
        ("SELECT * FROM a", {"id": ["a.id"], "x": ["a.x"], "y": ["a.y"]}),
        ("SELECT 'unknown' AS name, 7 AS number FROM a", {"name": [], "number": []}),
    ],
)
def test_a_column_comes_from_what_its_value_is_made_of(query, expected):
    assert of(query) == expected


def test_a_count_of_rows_comes_from_the_tables_as_a_whole():
    query = "WITH c AS (SELECT id FROM a WHERE x > 0) SELECT count(*) AS n FROM c JOIN b USING (id)"
    assert of(query) == {"n": ["a", "b"]}


def test_a_count_does_not_come_from_what_another_column_asks():
    assert of("SELECT count(*) AS n, (SELECT max(z) FROM b) AS m FROM a")["n"] == ["a"]


def test_a_union_by_name_goes_by_names_and_not_by_places():
    query = "SELECT id, x, y FROM a UNION ALL BY NAME SELECT z AS y, 'none' AS x FROM b"
    assert of(query) == {"id": ["a.id"], "x": ["a.x"], "y": ["a.y", "b.z"]}


def test_what_only_the_catalog_could_tell_is_told_of_the_tables():
    found = origins(
        "SELECT p.name, total FROM p JOIN o ON o.p = p.id", "mysql", Names(source="crm")
    )
    assert {column: sorted(map(str, fields)) for column, fields in found.items()} == {
        "name": ["crm:p.name"],
        "total": ["crm:o", "crm:p"],
    }


@pytest.mark.parametrize(
    "way",
    [
        "bi.dim_customer.recency_days < mart.dim_customer.recency_days"
        " < mart.customer_profile.recency_days < mart.customer_profile.last_order_at"
        " < snapshot.order_line.ordered_at < landing.order_line.ordered_at"
        " < shop:order_lines.ordered_at",
        "mart.customer_profile.top_category < snapshot.product.category < landing.product.category"
        " < woocommerce:wp_terms.name",
        "mart.customer_profile.consent_marketing < snapshot.consent.granted"
        " < landing.consent.granted",
        "mart.customer_profile.price_band < mart.customer_profile.avg_unit_price"
        " < snapshot.order_line.amount < landing.order_line.unit_price"
        " < northwind:order_details.unit_price",
        "bi.metric_revenue.value < bi.dim_customer.revenue < mart.dim_customer.revenue",
        "bi.dim_product.supplier < mart.dim_product.supplier < snapshot.product.supplier",
        "bi.customer_segment.since < mart.customer_segment.since"
        " < mart.customer_segment.segment_key < mart.customer_profile",
        "snapshot.order_line.ordered_on < landing.order_line.ordered_at",
        "snapshot.customer.is_staff < landing.customer.email < support:accounts.mail",
        "landing.order_line.changed_at < shop:order_lines.updated_at",
        "bi.customer_key.customer_id < core.identity.customer_id < landing.customer",
        "bi.customer_score.score < mart.customer_score.score < mart.customer_profile",
        "bi.customer_profile_history.city < mart.customer_profile_history.city"
        " < mart.customer_profile.city",
        "bi.kpi.value < mart.kpi_history.value < bi.metric_revenue",
    ],
)
def test_the_way_of_a_known_column(way):
    named = {str(field): field for pair in graph().up.items() for field in [pair[0], *pair[1]]}
    steps = [named[step] for step in way.split(" < ")]
    for step, origin in pairwise(steps):
        assert origin in graph().up[step], f"{step} comes from {sorted(map(str, graph().up[step]))}"
        assert step in graph().down[origin]


def test_nobody_in_a_segment_is_there_by_what_was_sold():
    reached, todo = set(), [Field("mart.customer_profile", "country")]
    while todo:
        todo += (new := graph().up.get(todo.pop(), frozenset()) - reached)
        reached |= new
    assert {field.table for field in reached if layer(field.table) == "landing"} == {
        "landing.customer"
    }


def test_every_published_column_comes_from_somewhere():
    brought = {"generation", "as_of"}
    for name in (*marts.MARTS, *marts.IN_DATABASE):
        for column in contracts.load(f"mart.{name}").own_columns:
            if column.name not in brought | CONSTANT.get(name, set()):
                assert graph().up.get(Field(f"mart.{name}", column.name)), f"{name}.{column.name}"


CONSTANT = {"rfm_grid": {"recency", "frequency"}}  # 1 to 5


def test_every_column_of_a_view_is_known():
    for table in contracts.all_tables():
        view = f"bi.{table.bi_view or table.name}"
        for column in table.columns if table.query or table.bi_view else ():
            assert not column.in_bi or Field(view, column.name) in graph().up, (view, column.name)


def test_every_snapshot_column_comes_from_landing():
    for entity, schema in SCHEMA.items():
        for column in schema.names:
            assert graph().up[Field(f"snapshot.{entity}", column)], f"{entity}.{column}"


def test_every_mapping_is_understood_in_its_own_dialect():
    told = {origin for of_ in graph().up.values() for origin in of_ if ":" in origin.table}
    assert {field.table.partition(":")[0] for field in told} == set(sources.names())
    as_a_whole = {field.table.partition(":")[0] for field in told if field.column is None}
    assert as_a_whole == {"odoo"}, "qualify the columns of a join with the name of their table"


def test_what_python_makes_is_made_where_it_says_of_tables_that_there_are():
    known = {table for table in graph().tables if layer(table) != "source"}
    for table, made in made_by().items():
        assert (ROOT / made.module).exists(), made.module
        assert {table, *made.of} <= known, table
