"""docs/bi.md: every question's query answers, asked as BI asks."""

import re

import pytest

from include.local import state
from tests.flow.conftest import Place

PAGE = (state.ROOT / "docs" / "bi.md").read_text()
QUESTION = re.compile(
    r"^### (?P<title>.+?)$.*?^```sql$(?P<query>.*?)^```$", re.MULTILINE | re.DOTALL
)
QUESTIONS = {found["title"]: found["query"] for found in QUESTION.finditer(PAGE)}


def test_the_page_has_ten_questions_each_with_its_query():
    assert len(QUESTIONS) == PAGE.count("\n### ") == PAGE.count("```sql") == 10


@pytest.mark.parametrize("title", QUESTIONS)
def test_a_question_is_answered(filled: Place, title: str):
    assert filled.rows(QUESTIONS[title], reader=True)


def test_a_session_that_pins_a_generation_reads_it(filled: Place):
    with filled.connect(reader=True) as db:
        (newest,) = db.execute("SELECT generation FROM bi.freshness").fetchone()
        db.execute(f"SET portrait.generation = {newest - 1}")
        pinned = db.execute("SELECT DISTINCT generation, as_of::text FROM bi.segment").fetchall()
    assert pinned == [(newest - 1, "2026-02-02")]


def test_a_generation_that_is_gone_is_empty(filled: Place):
    with filled.connect(reader=True) as db:
        db.execute("SET portrait.generation = 999999")
        assert db.execute("SELECT count(*) FROM bi.dim_customer").fetchone() == (0,)


def test_what_the_page_says_of_the_star_is_in_the_views(filled: Place):
    star = PAGE.split("| dimension | key |")[1].split("\n\n")[0]
    views = set(re.findall(r"`([a-z_]+)(?:\.[a-z_]+)?`", star))
    there = {
        name
        for pair in filled.rows(
            """SELECT table_name::text, column_name::text FROM information_schema.columns
               WHERE table_schema = 'bi'""",
            reader=True,
        )
        for name in pair
    }
    assert views - there == set()
