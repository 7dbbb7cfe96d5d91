"""Tables and what they come from, drawn as SVG: sources at the left, views of BI at the right."""

from collections.abc import Callable, Mapping, Set
from html import escape

from include.dictionary.lineage import layer

WIDTH, HEIGHT, GAP_X, GAP_Y, CHARACTER = 16, 24, 48, 8, 6.7  # pixels

Edges = Mapping[str, Set[str]]  # table -> those that it comes from


def draw(edges: Edges, focus: str | None, href: Callable[[str], str]) -> str:
    """Draw the tables of ``edges`` with their arrows; ``focus`` stands out, each is a link."""
    edges = {table: set(origins) & edges.keys() for table, origins in edges.items()}
    places, width, height = _places(edges)
    lines = [
        _arrow(places[origin], places[table], {origin, table})
        for table, origins in sorted(edges.items())
        for origin in sorted(origins)
    ]
    boxes = [_box(table, *place, table == focus, href(table)) for table, place in places.items()]
    return (
        f'<svg class="lineage" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" role="img" aria-label="Where the tables come from">'
        f"{''.join(lines)}{''.join(boxes)}</svg>"
    )


UP, DOWN = 2, 1  # steps around a table: more is wider than a page, and each box leads on


def around(edges: Edges, focus: str) -> dict[str, set[str]]:
    """What ``focus`` comes from, and what comes from it, within a few steps."""
    down: dict[str, set[str]] = {}
    for table, origins in edges.items():
        for origin in origins:
            down.setdefault(origin, set()).add(table)
    kept = _reached(edges, focus, UP) | _reached(down, focus, DOWN)
    return {table: set(edges.get(table, ())) & kept for table in kept}


def _reached(edges: Edges, start: str, steps: int) -> set[str]:
    found = new = {start}
    for _ in range(steps):
        new = {table for known in new for table in edges.get(known, ())} - found
        found = found | new
    return found


Place = tuple[float, float, float]  # left, top, width


def _places(edges: Edges) -> tuple[dict[str, Place], float, float]:
    """A column for each step from the sources; in it, tables stand beside what they come from."""
    columns: dict[int, list[str]] = {}
    for table, step in _steps(edges).items():
        columns.setdefault(step, []).append(table)
    most = max(map(len, columns.values()), default=1)
    places: dict[str, Place] = {}
    left = 0.0
    for _, tables in sorted(columns.items()):
        wide = max(map(len, tables)) * CHARACTER + WIDTH
        tables.sort(key=lambda table: (_middle(edges, table, places), table))
        top = (most - len(tables)) * (HEIGHT + GAP_Y) / 2
        for number, table in enumerate(tables):
            places[table] = (left, top + number * (HEIGHT + GAP_Y), wide)
        left += wide + GAP_X
    return places, left - GAP_X + 2, most * (HEIGHT + GAP_Y)


def _middle(edges: Edges, table: str, places: Mapping[str, Place]) -> float:
    tops = [places[origin][1] for origin in edges[table] if origin in places]
    return sum(tops) / len(tops) if tops else 0.0


def _steps(edges: Edges) -> dict[str, int]:
    """How many tables a table is away from the farthest that it comes from."""
    found: dict[str, int] = {}

    def step(table: str, before: frozenset[str]) -> int:
        if table not in found:
            origins = [origin for origin in edges.get(table, ()) if origin not in before]
            found[table] = max(
                (1 + step(origin, before | {table}) for origin in sorted(origins)), default=0
            )
        return found[table]

    for table in sorted(edges):
        step(table, frozenset({table}))
    return found


def _arrow(start: Place, end: Place, ends: set[str]) -> str:
    x1, y1 = start[0] + start[2], start[1] + HEIGHT / 2
    x2, y2 = end[0], end[1] + HEIGHT / 2
    bend = max(GAP_X / 2, abs(x2 - x1) / 2)
    named = " ".join(sorted(ends))
    return (
        f'<path data-ends="{escape(named)}" '
        f'd="M{x1:.0f} {y1:.0f}C{x1 + bend:.0f} {y1:.0f} {x2 - bend:.0f} {y2:.0f} '
        f'{x2:.0f} {y2:.0f}"/>'
    )


def _box(table: str, left: float, top: float, width: float, focus: bool, href: str) -> str:
    kind = f"{layer(table)} focus" if focus else layer(table)
    return (
        f'<a href="{escape(href)}" class="{kind}"><rect x="{left + 1:.0f}" y="{top + 1:.0f}" '
        f'width="{width:.0f}" height="{HEIGHT - 2}" rx="4"/>'
        f'<text x="{left + WIDTH / 2:.0f}" y="{top + 16:.0f}">{escape(table)}</text></a>'
    )
