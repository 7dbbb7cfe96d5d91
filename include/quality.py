"""The table rules of the contracts (volume, reference, distribution), run as Great Expectations.

A rule stands under ``quality`` of its contract: ``name`` in words, ``severity`` (error stops the
run), and ``implementation``: the name of an expectation of Great Expectations and its arguments.
Row rules are not here: a load sets such rows aside by itself (``landing.rules``).
"""

import logging
import os
from collections.abc import Iterable
from datetime import date
from typing import Any

from include import contracts, warehouse
from include.connections import address
from include.errors import ConfigError, QualityError

log = logging.getLogger(__name__)


def check(
    db: warehouse.Connection,
    tables: Iterable[tuple[str, str]],
    *,
    run_id: str,
    as_of: date | None = None,
    source: str = "",
) -> int:
    """Hold real tables against the table rules of their contracts; return how many were checked.

    Parameters
    ----------
    db : the warehouse, in autocommit; results go to ``ops.quality_result``.
    tables : (contract, the table or partition to look at), each ``schema.name``.
    source : the mapping, for tables of one source.

    Raises
    ------
    QualityError
        If a rule of severity ``error`` does not hold; all results are written first.
    """
    results: list[tuple[str, dict[str, Any], Any]] = []
    looked_at = [(contracts.load(contract), place) for contract, place in tables]
    for contract, place in looked_at:
        if contract.checks:
            results += [(place, *found) for found in _validate(contract, place)]
    with db.transaction():
        for place, rule, result in results:
            _write(db, run_id, as_of, source, place, rule, result)
    broken = [
        f"{place}: {rule['name']} ({_observed(result)})"
        for place, rule, result in results
        if not result.success and rule.get("severity") == "error"
    ]
    if broken:
        raise QualityError(
            f"{'; '.join(broken)}; nothing was passed on; "
            "mend the source, or the rule in the contract"
        )
    log.info("%d table rules checked, %d broken", len(results), _broken(results))
    return len(results)


def _broken(results: list[tuple[str, dict[str, Any], Any]]) -> int:
    return sum(not result.success for _, _, result in results)


def _validate(contract: contracts.Table, place: str) -> list[tuple[dict[str, Any], Any]]:
    """Run one table's rules in one suite; (rule, result of Great Expectations) in rule order."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    url = address("warehouse").url.replace("postgresql://", "postgresql+psycopg2://", 1)
    schema, _, table = place.partition(".")
    data = context.data_sources.add_postgres("warehouse", connection_string=url)
    asset = data.add_table_asset(place, table_name=table, schema_name=schema)
    batch = asset.add_batch_definition_whole_table("all").get_batch()
    suite = gx.ExpectationSuite(name=place)
    for number, rule in enumerate(contract.checks):
        suite.add_expectation(_expectation(contract, rule, number))
    found = batch.validate(suite, result_format="SUMMARY")
    by_number = {result.expectation_config.meta["number"]: result for result in found.results}
    for number, result in by_number.items():
        if not result.success and not result.result:
            said = " ".join(str(result.exception_info).split())[:400]
            raise ConfigError(
                f"contracts/{schema}/{contract.name}.yaml: rule {number + 1} cannot be run: {said}"
            )
    return [(rule, by_number[number]) for number, rule in enumerate(contract.checks)]


def _expectation(contract: contracts.Table, rule: dict[str, Any], number: int) -> Any:
    import great_expectations.expectations as gxe

    arguments = dict(rule["implementation"])
    kind = getattr(gxe, arguments.pop("expectation"), None)
    if kind is None:
        raise ConfigError(
            f"contracts/{contract.schema}/{contract.name}.yaml: rule {number + 1}: "
            f"no expectation of that name in Great Expectations"
        )
    return kind(**arguments, meta={"number": number})


def _observed(result: Any) -> str:
    found = result.result or {}
    value = found.get("observed_value", found.get("unexpected_count"))
    return f"found {value}"


def _write(
    db: warehouse.Connection,
    run_id: str,
    as_of: date | None,
    source: str,
    place: str,
    rule: dict[str, Any],
    result: Any,
) -> None:
    found = result.result or {}
    failing = found.get("unexpected_count")
    if rule["implementation"]["expectation"] == "UnexpectedRowsExpectation":
        failing = found.get("observed_value")
    db.execute(
        """INSERT INTO ops.quality_result
               (run_id, table_name, source, "check", as_of, recorded_at, passed, observed,
                failing_rows, severity)
           VALUES (%s, %s, %s, %s, %s, now(), %s, %s, %s, %s)
           ON CONFLICT (run_id, table_name, source, "check") DO UPDATE
           SET recorded_at = excluded.recorded_at, passed = excluded.passed,
               observed = excluded.observed, failing_rows = excluded.failing_rows""",
        [
            *(run_id, place, source, rule["name"], as_of, bool(result.success)),
            *(_observed(result), None if failing is None else int(failing)),
            rule.get("severity", "warning"),
        ],
    )
