"""A person says which version is used: back to an earlier one, or on with one that asked."""

import logging
from typing import Any

from include.errors import InputError
from include.models.outcome import record_backtest
from include.models.registry import Connection, locked

log = logging.getLogger(__name__)


def choose(
    db: Connection, model: str, model_version: str | None = None, *, by: str, run_id: str
) -> str:
    """Use a version until a challenger beats it, or until a person chooses again.

    Parameters
    ----------
    model_version : one that was promoted, or waits for a person; None: the one that was in use
        before the champion, so that asking twice goes back and forth.
    by : who says so, for the record.

    Returns
    -------
    The version that is in use now.

    Raises
    ------
    InputError
        If there is no such version, or the gate did not let it pass.
    """
    with db.transaction():
        locked(db, model)
        version = model_version or _before(db, model)
        waited, card = _choosable(db, model, version)
        db.execute(
            """UPDATE ops.model_version SET champion = (model_version = %(version)s),
                   in_use_since = CASE WHEN model_version = %(version)s THEN now()
                                       ELSE in_use_since END,
                   decision = CASE WHEN model_version = %(version)s THEN 'promoted'
                                   ELSE decision END,
                   chosen_by = CASE WHEN model_version = %(version)s THEN %(by)s
                                    ELSE chosen_by END
               WHERE model = %(model)s AND (champion OR model_version = %(version)s)""",
            {"version": version, "model": model, "by": by},
        )
        if waited and "tenths" in card:
            record_backtest(db, card, model, version, run_id=run_id)
    log.info("%s: %s is in use, chosen by %s", model, version, by)
    return version


def _before(db: Connection, model: str) -> str:
    row = db.execute(
        """SELECT model_version FROM ops.model_version
           WHERE model = %s AND decision = 'promoted' AND NOT champion
           ORDER BY in_use_since DESC NULLS LAST, as_of DESC, model_version DESC LIMIT 1""",
        [model],
    ).fetchone()
    if row is None:
        raise InputError(
            f"{model}: no version was in use before the champion; name one of bi.model_run"
        )
    return str(row[0])


def _choosable(db: Connection, model: str, version: str) -> tuple[bool, dict[str, Any]]:
    """Whether the version waited for a person, and its card."""
    row = db.execute(
        """SELECT decision, reason, card FROM ops.model_version
           WHERE model_version = %s AND model = %s""",
        [version, model],
    ).fetchone()
    if row is None:
        raise InputError(f"{model}: no version {version!r}; bi.model_run lists them")
    decision, reason, card = row
    if decision not in {"promoted", "asks"}:
        raise InputError(f"{version}: {decision}: {reason}; choose one that the gate let pass")
    return decision == "asks", card
