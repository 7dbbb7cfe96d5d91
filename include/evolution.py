"""What readers may rely on: the contracts held against ``contracts/released.json``.

    python -m include.evolution check      # one line a finding; part of `make check`
    python -m include.evolution release    # writes the file; part of `make docs`

What breaks a reader needs a higher major version in its contract, and neither command lets it
pass without.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from include import contracts, ddl
from include.contracts import Table

FILE = contracts.HERE / "released.json"


class Promise(BaseModel):
    """Frozen, unknown keys forbidden."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnPromise(Promise):
    """What a reader relies on in a column."""

    type: str
    key: int | None = None
    required: bool = False
    bi: bool = False  # shown in the table's view


class TablePromise(Promise):
    """What a reader relies on in a table and its view."""

    version: str
    view: str | None = None
    grain: str
    columns: dict[str, ColumnPromise]

    @property
    def key(self) -> list[str]:
        """The key's columns, in order."""
        keyed = {column.key: name for name, column in self.columns.items() if column.key}
        return [keyed[place] for place in sorted(keyed)]


Promises = dict[str, TablePromise]


def promises(tables: Iterable[Table]) -> Promises:
    """What the contracts promise now."""
    return {
        table.full_name: TablePromise(
            version=table.version,
            view=ddl.view(table),
            grain=table.grain,
            columns={
                column.name: ColumnPromise(
                    type=column.type,
                    key=column.key,
                    required=column.required,
                    bi=column.in_bi and ddl.view(table) is not None,
                )
                for column in table.columns
            },
        )
        for table in tables
    }


def broken(released: Promises, now: Promises) -> list[str]:
    """One line for each promise that is not kept though the major version stayed."""
    found = []
    for full_name, was in released.items():
        if full_name not in now:
            found.append(f"{was.view or full_name}: removed; put it back, or {TAKEN_OUT}")
            continue
        version, breaks = now[full_name].version, _breaks(full_name, was, now[full_name])
        if _numbers(version) < _numbers(was.version):
            found.append(
                f"{full_name}: version {version} comes before the released {was.version}; raise it"
            )
        elif _numbers(version)[0] == _numbers(was.version)[0]:
            found += [f"{what}, or {_way_out(full_name, was.version)}" for what in breaks]
    return found


def outdated(released: Promises, now: Promises) -> list[str]:
    """One line if the file does not tell of every table as it is now."""
    other = [name for name, promise in now.items() if released.get(name) != promise]
    if not other:
        return []
    more = f" and {len(other) - 3} more" if other[3:] else ""
    return [
        f"contracts/released.json: not as the contracts say of {', '.join(other[:3])}{more}; "
        "run `make docs`"
    ]


TAKEN_OUT = "take its entry out of contracts/released.json and say in CHANGELOG how readers move"


def _breaks(full_name: str, was: TablePromise, now: TablePromise) -> Iterator[str]:
    """What of a table's promise is not kept, and how to keep it."""
    shown = was.view or full_name
    if was.view and now.view != was.view:
        yield f"{was.view}: now called {now.view or 'nothing'}; keep the name"
    if now.key != was.key:
        yield f"{shown}: its key was ({', '.join(was.key)}), is ({', '.join(now.key)}); keep it"
    if now.grain != was.grain:
        yield f"{shown}: one row was '{was.grain}', is '{now.grain}'; keep it"
    for name, before in was.columns.items():
        column, after = f"{shown if before.bi else full_name}.{name}", now.columns.get(name)
        if after is None:
            yield f"{column}: removed; keep it"
            continue
        if after.type != before.type:
            yield f"{column}: was {before.type}, is {after.type}; add a column of another name"
        if before.bi and not after.bi and now.view:
            yield f"{column}: taken out of bi; show it"
        if after.required and not before.required and after.key is None:
            yield f"{column}: may no longer be null; leave it optional"


def _way_out(full_name: str, version: str) -> str:
    """How to break a promise on purpose."""
    schema, _, name = full_name.partition(".")
    for written_in in (name, name.removesuffix("_history")):  # some histories are derived
        if (contracts.HERE / schema / f"{written_in}.yaml").exists():
            return (
                f"raise the version of contracts/{schema}/{written_in}.yaml from {version} to "
                f"{_numbers(version)[0] + 1}.0.0 and say in CHANGELOG how readers move"
            )
    return TAKEN_OUT


def _numbers(version: str) -> tuple[int, ...]:
    """A version in numbers; what is none comes before all."""
    parts = version.split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else (0,)


def read(file: Path = FILE) -> Promises:
    """What was released; nothing, before the first release."""
    if not file.exists():
        return {}
    return TypeAdapter(Promises).validate_json(file.read_bytes())


def written(made: Promises) -> str:
    """The promises as JSON, a column a line, so that a change is one line of a diff."""
    tables = []
    for full_name, promise in sorted(made.items()):
        head = json.dumps({full_name: promise.model_dump(exclude={"columns"}, exclude_none=True)})
        columns = ",\n".join(
            f"    {json.dumps(name)}: {json.dumps(column.model_dump(exclude_defaults=True))}"
            for name, column in promise.columns.items()
        )
        tables.append(f'  {head[1:-2]}, "columns": {{\n{columns}\n  }}}}')
    return "{\n" + ",\n".join(tables) + "\n}\n"


def check(released: Promises, now: Promises) -> list[str]:
    """All that keeps `make check` from passing."""
    return broken(released, now) or outdated(released, now)


def main(command: str, file: Path = FILE) -> int:
    """Check, or release what breaks nothing; return the exit status."""
    released, now = read(file), promises(contracts.all_tables())
    found = check(released, now) if command == "check" else broken(released, now)
    for finding in found:
        print(finding)
    if command == "release" and not found:
        file.write_text(written(now), encoding="utf-8")
    return 1 if found else 0


if __name__ == "__main__":
    if sys.argv[1:] not in (["check"], ["release"]):
        sys.exit("python -m include.evolution check|release")
    sys.exit(main(sys.argv[1]))
