"""``make audience NAME= OUT= GROUP=``: who is on an audience, as a file."""

import getpass
import os
import tempfile
from pathlib import Path

from rich.console import Console

from include import connections
from include.errors import InputError
from include.local import postgres
from include.marts import export


def audience(home: Path, console: Console) -> None:
    """Write the customers of the audience NAME to OUT, a file .csv or .parquet; say how many.

    GROUP is treatment (the default: control must not be contacted), control or all.

    Raises
    ------
    InputError
        If one of them cannot be used, or nothing has been published.
    """
    name, out = os.environ.get("NAME") or "", Path(os.environ.get("OUT") or "")
    form = next((form for form in export.FORMS if out.suffix == f".{form}"), None)
    if not name or form is None:
        raise InputError(
            "audience: give NAME of bi.audience and OUT, a file .csv or .parquet, as "
            "make audience NAME=win_back OUT=win_back.csv"
        )
    asked = os.environ.get("GROUP") or "treatment"
    group = next((group for group in export.GROUPS if group == asked), None)
    if group is None:
        raise InputError(f"GROUP={asked}: must be one of {', '.join(export.GROUPS)}")
    if not out.absolute().parent.is_dir():
        raise InputError(f"OUT={out}: no folder {out.parent}; make it first")
    if not os.environ.get(connections.variable("warehouse")):
        os.environ[connections.variable("warehouse")] = postgres.start(home).url()
    said = _write(name, out, form, group)
    lines = [
        f"{out}: {said.rows} customers of {name} ({group}), as of {said.as_of}, "
        f"generation {said.generation}"
    ]
    if said.problem:
        lines.append(
            f"{name}: its rule cannot be run: {said.problem}; these are the members of the last "
            "day on which it could; mend include/audiences.yaml"
        )
    console.print("\n".join(lines), soft_wrap=True, highlight=False, markup=False)


def _write(name: str, out: Path, form: export.Form, group: export.Group) -> export.Exported:
    """The file appears complete, readable by its owner only, or not at all."""
    handle, made = tempfile.mkstemp(dir=out.absolute().parent, prefix=f".{out.name}.")
    try:
        with os.fdopen(handle, "wb") as sink, connections.connect("warehouse") as db:
            by = f"make audience, {getpass.getuser()}"
            said = export.write(db, name, sink, form=form, group=group, by=by)
        Path(made).replace(out)
    finally:  # an interrupted one leaves nothing behind
        Path(made).unlink(missing_ok=True)
    return said
