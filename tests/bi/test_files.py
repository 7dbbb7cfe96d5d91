"""The dashboard's files fit together and fit the views, seen without a Superset."""

import uuid
from typing import Any

import psycopg
import pytest
import yaml

from include import metrics
from include.local import bi

FILES = {
    path.relative_to(bi.DASHBOARD).with_suffix("").as_posix(): yaml.safe_load(path.read_text())
    for path in sorted(bi.DASHBOARD.rglob("*.yaml"))
}
KINDS = ("databases", "datasets", "charts", "dashboards")


def of(kind: str) -> dict[str, dict[str, Any]]:
    """The files of one folder, by name."""
    return {name: file for name, file in FILES.items() if name.startswith(f"{kind}/")}


DATASETS = {file["uuid"]: file for file in of("datasets").values()}
DASHBOARD = FILES["dashboards/portrait"]
POSITION = {
    name: item for name, item in DASHBOARD["position"].items() if name != "DASHBOARD_VERSION_KEY"
}
SHOWN = [item["meta"] for item in POSITION.values() if item["type"] == "CHART"]


@pytest.mark.parametrize("name", [name for name in FILES if name.split("/")[0] in KINDS])
def test_an_id_follows_from_the_name_of_the_file(name: str):
    assert FILES[name]["uuid"] == str(uuid.uuid5(uuid.NAMESPACE_URL, f"portrait:{name}"))


def test_every_chart_is_on_the_dashboard_once_by_its_title():
    assert sorted((meta["uuid"], meta["sliceName"]) for meta in SHOWN) == sorted(
        (chart["uuid"], chart["slice_name"]) for chart in of("charts").values()
    )
    assert len({meta["chartId"] for meta in SHOWN}) == len(SHOWN) >= 10


def test_every_row_of_the_dashboard_is_full_and_holds_what_is_there():
    rows = [item for item in POSITION.values() if item["type"] == "ROW"]
    widths = [sum(POSITION[child]["meta"]["width"] for child in row["children"]) for row in rows]
    assert set(widths) == {12}
    assert sum(len(row["children"]) for row in rows) == len(SHOWN)
    assert {row["id"] for row in rows} - set(POSITION["GRID_ID"]["children"]) == set()
    assert set(POSITION["GRID_ID"]["children"]) - set(POSITION) == set()


@pytest.mark.parametrize("name", of("charts"))
def test_a_chart_says_what_it_shows_and_asks_for_what_its_dataset_has(name: str):
    chart = FILES[name]
    dataset = DATASETS[chart["dataset_uuid"]]
    assert len(chart["description"]) > 20
    columns = {column["column_name"] for column in dataset["columns"]}
    metrics = {metric["metric_name"] for metric in dataset["metrics"]}
    asked = chart["params"]
    listed = [*asked.get("all_columns", []), *asked.get("groupby", [])]
    if isinstance(asked.get("groupby"), str):
        listed = [asked["groupby"]]
    single = [asked[key] for key in ("x_axis", "source", "target") if key in asked]
    filtered = [rule["subject"] for rule in asked.get("adhoc_filters", [])]
    assert {*listed, *single, *filtered} - columns == set()
    measured = [*asked.get("metrics", []), *asked.get("metrics_b", [])]
    measured += [asked["metric"]] if "metric" in asked else []
    assert set(measured) - metrics == set()


def test_a_chart_of_a_metric_says_what_metrics_yaml_says():
    known = {f"metric_{metric.name}": metric for metric in metrics.load()}
    known |= {metric.name: metric for metric in metrics.load()}
    told, wanted = [], []
    for chart in of("charts").values():
        table = DATASETS[chart["dataset_uuid"]]["table_name"]
        if table == "kpi":
            metric = known[chart["params"]["adhoc_filters"][0]["comparator"]]
        elif table.startswith("metric_"):
            metric = known[table]
        else:
            continue
        told.append((chart["slice_name"], chart["description"][: len(metric.description)]))
        wanted.append((metric.label, metric.description))
    assert len(told) >= 10
    assert told == wanted


def test_each_dataset_has_the_columns_that_it_lists(warehouse: psycopg.Connection):
    listed, found = {}, {}
    for name, dataset in of("datasets").items():
        source = f"({dataset['sql']})" if "sql" in dataset else f"bi.{dataset['table_name']}"
        listed[name] = sorted(column["column_name"] for column in dataset["columns"])
        there = warehouse.execute(f"SELECT * FROM {source} AS d LIMIT 0").description
        found[name] = sorted({column.name for column in there} & set(listed[name]))
        for metric in dataset["metrics"]:
            warehouse.execute(f"SELECT {metric['expression']} FROM {source} AS d")
    assert found == listed


def test_filters_exclude_the_charts_that_lack_their_column():
    charts = {chart["uuid"]: chart for chart in of("charts").values()}
    for filtering in DASHBOARD["metadata"]["native_filter_configuration"]:
        wanted = filtering["targets"][0]["column"]["name"]
        lacking = {
            meta["chartId"]
            for meta in SHOWN
            if wanted
            not in {
                column["column_name"]
                for column in DATASETS[charts[meta["uuid"]]["dataset_uuid"]]["columns"]
            }
        }
        assert lacking - set(filtering["scope"]["excluded"]) == set()


def test_no_file_holds_a_password_or_may_write():
    database = FILES["databases/warehouse"]
    assert database["sqlalchemy_uri"].split("@")[0].endswith("bi_reader:XXXXXXXXXX")
    allowed = {key: value for key, value in database.items() if key.startswith("allow")}
    assert set(allowed.values()) == {False}
