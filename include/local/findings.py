"""What ``make doctor`` found: one line each."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape

MARKS = {True: "[green]ok[/]", False: "[red]!![/]", None: "--"}


@dataclass(frozen=True)
class Finding:
    """The answer to one check; ``good`` is None where there is nothing to mend, or to judge."""

    subject: str
    good: bool | None
    said: str


def show(console: Console, findings: Iterable[Finding], *, width: int = 12) -> int:
    """Print each finding once it is there; return how many are bad."""
    bad = 0
    for finding in findings:
        subject, said = escape(finding.subject.ljust(width)), escape(finding.said)
        console.print(f"{MARKS[finding.good]} {subject} {said}", highlight=False, soft_wrap=True)
        bad += finding.good is False
    return bad
