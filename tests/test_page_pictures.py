"""The pictures of a model on the Portrait page: where they are shown, and that no other file is."""

import html
import re

import psycopg
import pytest

from include import connections, paths
from include.models import pictures as drawn
from include.models.pictures import canvas
from tests.test_page import airflow, published, visit, warehouse

__all__ = ["airflow", "published", "visit", "warehouse"]


def axes_only(figure) -> None:
    figure.subplots()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty folder for what runs leave behind."""
    monkeypatch.setenv("PORTRAIT_HOME", str(tmp_path / "var"))
    return tmp_path / "var"


@pytest.fixture
def churn(published):
    """The folder of churn-1, the version in use, with two pictures and a file that is none."""
    out = paths.pictures("churn-1")
    canvas.draw(out, {"roc": axes_only, "gain": axes_only, "notes": axes_only})
    return out


def record(version: str, model: str) -> None:
    with psycopg.connect(connections.address("warehouse").url) as db:
        db.execute(
            """INSERT INTO bi.model_run VALUES
               (%s, %s, 'r', '2026-03-01', '2026-03-01', true, 'promoted', 'it is better')""",
            [model, version],
        )


def links(page: str, attribute: str) -> list[str]:
    """Where the page leads to pictures, as a browser reads it."""
    found = re.findall(rf'{attribute}="(pictures[^"]*)"', page)
    return ["/" + html.unescape(link) for link in found]


def test_the_model_in_use_leads_to_its_pictures_though_a_newer_one_was_refused(visit, published):
    assert links(visit("/", "viewer").text, "href") == ["/pictures?version=churn-1"]


def test_without_a_model_in_use_nothing_leads_to_pictures(visit, published):
    with psycopg.connect(connections.address("warehouse").url) as db:
        db.execute("UPDATE bi.model_run SET champion = false")
    assert links(visit("/", "viewer").text, "href") == []


def test_those_that_are_there_are_shown_each_with_how_it_is_read(visit, churn):
    page = visit("/pictures?version=churn-1", "viewer").text
    assert links(page, "src") == [
        "/pictures/gain.png?version=churn-1",
        "/pictures/roc.png?version=churn-1",
    ]
    assert 'alt="Who comes first. The further a line bends to the upper left' in page
    assert "In use." in page


def test_a_picture_comes_as_it_was_drawn(visit, churn):
    answer = visit("/pictures/roc.png?version=churn-1", "viewer")
    assert answer.content == (churn / "roc.png").read_bytes()
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_may_show_pictures_of_its_own_only(visit, churn):
    policy = visit("/pictures?version=churn-1", "viewer").headers["content-security-policy"]
    assert "img-src 'self';" in policy
    assert "default-src 'none';" in policy


def test_where_another_machine_drew_them_the_page_says_so_and_shows_no_broken_image(
    visit, published
):
    answer = visit("/pictures?version=churn-1", "viewer")
    assert answer.status_code == 200
    assert "No pictures of this version are here" in answer.text
    assert "<img" not in answer.text
    assert visit("/pictures/roc.png?version=churn-1", "viewer").status_code == 404


def test_a_model_of_any_name_finds_its_pictures(visit, published):
    version = "need:Tea & 茶/50%-2026-03-01-0123456789ab"
    record(version, "need:Tea & 茶/50%")
    canvas.draw(paths.pictures(version), {"roc": axes_only})
    (link,) = [link for link in links(visit("/", "viewer").text, "href") if "need" in link]
    (image,) = links(visit(link, "viewer").text, "src")
    assert visit(image, "viewer").content == (paths.pictures(version) / "roc.png").read_bytes()


@pytest.mark.parametrize("path", ["/pictures?version=churn-1", "/pictures/roc.png?version=churn-1"])
def test_nobody_sees_them_without_signing_in(visit, churn, path):
    assert visit(path).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/pictures/notes.png?version=churn-1",  # in the folder, but no picture of ours
        "/pictures/roc.png?version=churn-3",
        "/pictures?version=churn-3",
        "/pictures/roc.png?version=../churn/churn-1",
        "/pictures/roc.png?version=churn-1/.",
        "/pictures/..%2Fchurn-1%2Froc.png?version=churn-1",
        "/pictures/%2e%2e%2f%2e%2e%2f%2e%2e%2fsecret.png?version=churn-1",
        "/pictures/../../../secret.png?version=churn-1",
    ],
)
def test_nothing_else_can_be_asked_for(visit, churn, home, path):
    (home / "secret.png").write_text("secret")
    canvas.draw(paths.pictures("churn-3"), {"roc": axes_only})  # of no version in the warehouse
    answer = visit(path, "admin")
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_a_version_that_is_named_like_a_path_leads_nowhere_else(visit, published, home):
    for version in ("../..", "..", "/etc"):
        record(version, version)
    for folder in (home, home / "pictures", home.parent):
        folder.mkdir(exist_ok=True)
        (folder / "roc.png").write_text("secret")
    for version in ("../..", "..", "/etc"):
        answer = visit(f"/pictures/roc.png?version={version}", "admin")
        assert (answer.status_code, "secret" in answer.text) == (404, False)


def test_before_anything_was_trained_no_version_has_that_name(visit, warehouse):
    assert visit("/pictures?version=churn-1", "viewer").status_code == 404


def test_a_warehouse_that_does_not_answer_is_named(visit, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "postgres://nobody:secret@127.0.0.1:1/none")
    answer = visit("/pictures/roc.png?version=churn-1", "viewer")
    assert answer.status_code == 503
    assert "127.0.0.1:1/none" in answer.json()["detail"]
    assert "secret" not in answer.text


def test_every_picture_that_may_be_drawn_has_its_words(airflow):
    from plugins.portrait.pictures import PICTURES

    assert sorted(picture.name for picture in PICTURES) == sorted(drawn.NAMES)


def test_a_version_that_asks_says_where_to_say_yes_and_shows_its_pictures(
    visit, published, warehouse
):
    warehouse.execute(
        """INSERT INTO bi.model_run VALUES ('need:Tea', 'need:Tea-1', 'r', '2026-03-01',
               '2026-03-01', false, 'asks', 'a person decides')"""
    )
    warehouse.commit()
    html = visit("/", "viewer").text
    assert "version <code>need:Tea-1</code>" in html
    assert 'href="pictures?version=need%3ATea-1"' in html
