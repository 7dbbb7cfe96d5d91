"""The page's routes: HTML for people, the same as JSON for programs, the pictures of a model."""

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include import domains
from include.connections import connect
from include.errors import PortraitError
from plugins.portrait import access, audiences, pictures, summary

UNREADABLE = (PortraitError, psycopg.OperationalError)  # not set, not there, or too slow
SHOWN_FROM = 0.05  # log2 of odds: below it the page would say +0.0
SPOKEN = {"given": "given name", "family": "last name"}  # fields of likeness, where it is unclear
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; img-src 'self'; frame-ancestors 'self'",
}


def build() -> FastAPI:
    """The application, for signed-in users only; what a form is for is shown to who may use it."""
    app = FastAPI(
        title="Portrait",
        dependencies=[access.SIGNED_IN],
        docs_url=None,  # these three would be open to everybody
        redoc_url=None,
        openapi_url=None,
    )
    app.include_router(audiences.ROUTER)
    app.include_router(pictures.ROUTER)
    app.add_api_route("/", show, response_class=HTMLResponse)
    app.add_api_route("/api/summary", tell)
    app.add_api_route("/pictures", show_pictures, response_class=HTMLResponse)
    return app


def show(user: access.Reader) -> HTMLResponse:  # def, not async def: it waits for the warehouse
    """The page; where the warehouse does not answer, it says so and still links to the DAGs."""
    forms, problem, facts = access.forms(user), None, None
    try:
        facts = _facts(forms)
    except UNREADABLE as error:
        problem = " ".join(str(error).split())
    html = TEMPLATES.get_template("page.html").render(facts=facts, forms=forms, problem=problem)
    return HTMLResponse(html, status_code=503 if problem else 200, headers=HEADERS)


def tell(user: access.Reader) -> dict[str, Any]:
    """What the page shows, as JSON."""
    forms = access.forms(user)
    try:
        facts = _facts(forms)
    except UNREADABLE as error:
        raise HTTPException(503, " ".join(str(error).split())) from error
    return {**facts, "dags": forms}


def show_pictures(version: str) -> HTMLResponse:
    """The pictures of a model version; where they are not on this machine, it says so."""
    run, there = pictures.known(version), pictures.here(version)
    html = TEMPLATES.get_template("pictures.html").render(run=run, pictures=there)
    return HTMLResponse(html, headers=HEADERS)


def _facts(forms: list[access.Form]) -> dict[str, Any]:
    with connect("warehouse") as db:
        facts = summary.read(db)
    if not any(form.dag_id == "review" and form.may_trigger for form in forms):
        facts["pairs"] = []
    facts["may_export"] = audiences.may_export(forms)
    return facts


def moment(value: datetime | None) -> str:
    """A time in the business time zone, to the minute."""
    if value is None:
        return "–"
    return f"{value.astimezone(ZoneInfo(domains.load().time_zone)):%Y-%m-%d %H:%M}"


def whole(value: float | None) -> str:
    """12 345."""
    return "–" if value is None else f"{value:,.0f}".replace(",", "\u202f")


def duration(seconds: float | None) -> str:
    """12 s, 7 min, 31 h."""
    if seconds is None:
        return "–"
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def measured(value: float | None, unit: str) -> str:
    """A figure in the words of its unit: a share in percent, money and counts whole."""
    if unit == "share":
        return percent(value)
    shown = (
        whole(value) if value is None or abs(value) >= 100 or unit != "money" else f"{value:.2f}"
    )
    return f"{shown} {domains.load().currency}" if unit == "money" else shown


def percent(value: float | None) -> str:
    """One decimal, of a share from 0 to 1."""
    return "–" if value is None else f"{value:.1%}"


def evidence(weights: dict[str, float], side: int) -> str:
    """The fields that speak for one person (side 1) or for two (-1), the strongest first."""
    sided = [(weight, field) for field, weight in weights.items() if weight * side >= SHOWN_FROM]
    said = [
        f"{SPOKEN.get(field, field.replace('_', ' '))} {weight:+.1f}".replace("-", "−")
        for weight, field in sorted(sided, key=lambda found: (-abs(found[0]), found[1]))
    ]
    return ", ".join(said) or "–"


TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)
TEMPLATES.filters |= {
    "duration": duration,
    "evidence": evidence,
    "measured": measured,
    "moment": moment,
    "percent": percent,
    "whole": whole,
}
TEMPLATES.globals["time_zone"] = lambda: domains.load().time_zone
