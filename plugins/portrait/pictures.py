"""The pictures of a model version as files, for whoever may read the page: /pictures/<name>.png"""

from dataclasses import dataclass

import psycopg
from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

from include import paths
from include.connections import connect
from include.errors import PortraitError
from plugins.portrait import summary

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
ROUTER = APIRouter(prefix="/pictures")  # part of the page, and open to whom that is


@dataclass(frozen=True)
class Picture:
    """One kind of picture: the name of its file, what it is, and how it is read."""

    name: str
    title: str
    read: str


PICTURES = (  # in the order shown
    Picture(
        "gain",
        "Whom a campaign reaches",
        "Left: who contacts so many customers, the highest scores first, reaches so many of those "
        "for whom it happened. Right: how many times as many as by a random choice.",
    ),
    Picture(
        "calibration",
        "Can the score be read as a probability?",
        "Each point is a tenth of the customers. On the dotted line it came as foreseen; where the "
        "points lie far from it, go by the rank and not by the figure.",
    ),
    Picture(
        "roc",
        "Who comes first",
        "The further a line bends to the upper left, the better it puts those for whom it happened "
        "before the others. On the dotted line is chance.",
    ),
    Picture(
        "precision_recall",
        "How many are right",
        "Further right, more of those for whom it happened are found; the higher the line, the "
        "fewer others are taken along.",
    ),
    Picture(
        "importance",
        "What the score looks at",
        "How much worse the order of the customers gets when a feature is taken from the model. Of "
        "two features that tell the same, neither looks important.",
    ),
    Picture(
        "boundary",
        "Where the score turns",
        "Orange: high scores, blue: low ones. The points are real customers, who differ in "
        "everything else too: some lie on the other side.",
    ),
    Picture(
        "drift",
        "Have the customers changed?",
        "How far the values of a feature moved. Those that count days move with every day; others "
        "say that the customers, or a source, are not what they were.",
    ),
    Picture(
        "map",
        "Where the segments lie",
        "Each point is a customer, drawn at random; who is alike lies near. All features are "
        "pressed into two axes.",
    ),
    Picture(
        "elbow",
        "How many segments",
        "The more segments, the nearer customers are to others of their own. At the elbow, one "
        "more stops bringing much.",
    ),
    Picture(
        "silhouette",
        "How clear and how stable the segments are",
        "Left: how far the segments lie apart. Right: how much of them is found again in random "
        "halves of the customers.",
    ),
    Picture(
        "value",
        "Revenue foreseen and revenue that came",
        "A panel a method. Each step up is ten times the money: a few customers bring most of it.",
    ),
)


@ROUTER.get("/{name}.png")  # def, not async def: it waits for the warehouse
def file(name: str, version: str) -> Response:
    """One picture of a version that the warehouse knows; no other file can be asked for."""
    known(version)
    if name not in {picture.name for picture in PICTURES}:
        raise HTTPException(404, f"no picture is called {name}")
    try:
        drawn = (paths.pictures(version) / f"{name}.png").read_bytes()
    except FileNotFoundError as error:
        raise HTTPException(404, f"{name} of {version} is not on this machine") from error
    return Response(drawn, media_type="image/png", headers=HEADERS)


def known(version: str) -> summary.Row:
    """The training that made a version: its row of ``bi.model_run``."""
    try:
        with connect("warehouse") as db:
            run = summary.model_run(db, version)
    except (PortraitError, psycopg.OperationalError) as error:
        raise HTTPException(503, " ".join(str(error).split())) from error
    if run is None:
        raise HTTPException(404, "no model version has that name")
    return run


def here(version: str) -> list[Picture]:
    """The pictures of a version that lie on this machine; none where another one drew them."""
    folder = paths.pictures(version)
    return [picture for picture in PICTURES if (folder / f"{picture.name}.png").is_file()]
