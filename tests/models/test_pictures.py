"""Pictures of a version: the numbers behind them, and files that are whole or not there."""

from datetime import date
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from include import paths
from include.contracts import Column
from include.models import pictures
from include.models.churn import Churn
from include.models.clusters import Choice, Point
from include.models.pictures import canvas, curves, value, words

# of matplotlib's: of a picture too small for what it shows, of a letter without a shape
pytestmark = pytest.mark.filterwarnings("error::UserWarning")
ANSWERS = pd.Series([1, 0, 1, 0])
CURVE = [
    Point(1, 100.0, None, None),
    Point(2, 40.0, 0.5, 0.95),
    Point(3, 30.0, 0.4, 0.7),
    Point(4, 25.0, 0.3, None),
]


def points(line: curves.Line) -> list[tuple[float, float]]:
    return list(zip(line.x.tolist(), line.y.tolist(), strict=True))


def judged(**given) -> pictures.Judged:
    """200 customers whose scores are often right."""
    draw = np.random.default_rng(1)
    labels = pd.Series(np.arange(200) % 4 == 0).astype("int64")
    scores = (0.5 * labels + draw.uniform(0, 0.5, 200)).clip(0, 1)
    naive = pd.Series(draw.normal(0, 1, 200)) + labels
    return pictures.Judged(**{"labels": labels, "scores": scores, "naive": naive, **given})


@pytest.fixture
def fitted(profiles, labels):
    """A score with everything that there is to draw."""
    model = Churn("logistic").fit(profiles, labels, seed=0)
    scores = model.score(profiles)
    return pictures.Judged(
        labels,
        scores,
        profiles["revenue"],
        importance=pd.Series({"order_count": 0.1, "recency_days": 0.4, "revenue": 0.01}),
        drift={"order_count": 0.3, "recency_days": 0.15, "revenue": 0.0},
        profiles=profiles,
        pipeline=model.pipeline,
    )


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.9, 0.1, 0.8, 0.2], [(0, 0), (0.25, 0.5), (0.5, 1), (0.75, 1), (1, 1)]),
        ([0.1, 0.9, 0.2, 0.8], [(0, 0), (0.25, 0), (0.5, 0), (0.75, 0.5), (1, 1)]),
        ([0.9, 0.5, 0.5, 0.1], [(0, 0), (0.25, 0.5), (0.75, 1), (1, 1)]),
        ([0.3, 0.3, 0.3, 0.3], [(0, 0), (1, 1)]),
    ],
    ids=["best", "worst", "two alike", "all alike"],
)
def test_the_gain_of_a_known_order_is_counted(scores, expected):
    assert points(curves.gain(ANSWERS, pd.Series(scores))) == expected


def test_the_half_that_holds_every_yes_is_twice_as_good_as_chance():
    best = curves.gain(ANSWERS, pd.Series([0.9, 0.1, 0.8, 0.2]))
    assert curves.reached(best, 0.5) == 1
    assert curves.lift(best, np.array([0.25, 0.5, 1.0])).tolist() == [2, 2, 1]


def test_a_perfect_order_finds_every_yes_before_it_takes_a_no():
    scores = pd.Series([0.9, 0.1, 0.8, 0.2])
    assert (0, 1) in points(curves.roc(ANSWERS, scores))
    assert (1, 1) in points(curves.precision_recall(ANSWERS, scores))


def test_each_tenth_says_what_was_foreseen_and_what_came_the_lowest_first():
    scores = pd.Series([0.25, 0.05, 0.15, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95] * 2)
    labels = pd.Series([0] * 5 + [1] * 5 + [1] + [0] * 4 + [1] * 5)
    found = curves.calibration(labels, scores)
    assert found["foreseen"].round(2).tolist() == [
        *(0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95)
    ]
    assert found["happened"].tolist() == [0, 0, 0.5, 0, 0, 1, 1, 1, 1, 1]
    assert found["customers"].tolist() == [2] * 10
    assert found.loc[2, ["low", "high"]].astype(float).round(3).tolist() == [0.095, 0.905]


def test_the_plane_is_of_the_two_most_important_numbers_that_differ(profiles, labels):
    profiles["revenue"] = 7.0
    pipeline = Churn("logistic").fit(profiles, labels, seed=0).pipeline
    importance = pd.Series({
        "revenue": 0.9,  # of every customer the same
        "price_band": 0.8,  # a text
        "left_the_profile": 0.7,
        "order_count": 0.1,
        "line_count": 0.2,
        "recency_days": 0.3,
    })
    assert curves.plane(importance, profiles, pipeline) == ["recency_days", "line_count"]


def test_over_the_plane_a_logistic_score_rises_with_what_it_learned_and_nothing_else(
    profiles, labels
):
    pipeline = Churn("logistic").fit(profiles, labels, seed=0).pipeline
    found = curves.grid(pipeline, profiles, "recency_days", "order_count", steps=9)
    assert found.probability.shape == (9, 9)
    assert (np.diff(found.probability, axis=1) > 0).all()
    along, across = np.ptp(found.probability, axis=1).min(), np.ptp(found.probability, axis=0).max()
    assert along > 5 * across
    known = profiles["recency_days"].quantile([0.02, 0.98]).tolist()
    assert found.x[[0, -1]] == pytest.approx(known, abs=1e-5)


@pytest.mark.parametrize(
    ("values", "skewed"),
    [(range(1, 100), False), (np.geomspace(1, 1e5, 99), True), (np.linspace(-5, 1e5, 99), False)],
    ids=["even", "powers", "below zero"],
)
def test_powers_of_ten_are_read_as_such(values, skewed):
    assert curves.is_skewed(pd.Series(values)) is skewed


def test_the_tenths_of_value_are_ordered_by_what_was_foreseen():
    foreseen = pd.Series(range(20), dtype="float64")
    found = value.tenths(did=foreseen[::-1].reset_index(drop=True), foreseen=foreseen)
    assert found["foreseen"].tolist() == [18.5, 16.5, 14.5, 12.5, 10.5, 8.5, 6.5, 4.5, 2.5, 0.5]
    assert found["came"].tolist() == [0.5, 2.5, 4.5, 6.5, 8.5, 10.5, 12.5, 14.5, 16.5, 18.5]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("recency_days", "Time since the last order (days)"),
        ("order_count", "Orders"),
        ("revenue", "Money ordered, net of returns and discounts (EUR)"),
        ("MonthlyCharges_eur", "MonthlyCharges eur"),
    ],
)
def test_an_axis_is_named_by_the_contract_of_its_feature(name, said):
    assert words.axis(name) == said


def test_what_a_model_adds_to_the_profile_is_named_by_its_own_contract():
    own = (Column("tea_orders", "integer", "Orders of tea; none is 0.", unit="orders"),)
    assert words.axis("tea_orders", own) == "Orders of tea"
    assert words.axis("recency_days", own) == "Time since the last order (days)"


def test_every_picture_of_a_score_is_a_small_png(fitted, tmp_path):
    drawn = pictures.score_pictures(tmp_path / "v", "churn, 2026-03-01", fitted)
    assert [path.name for path in drawn] == [
        *("roc.png", "precision_recall.png", "calibration.png", "gain.png"),
        *("importance.png", "drift.png", "boundary.png"),
    ]
    assert sorted(drawn) == sorted((tmp_path / "v").iterdir())
    for path in drawn:
        with Image.open(path) as image:
            assert (image.format, image.size) == ("PNG", (800, 500))
            image.verify()
        assert path.stat().st_size < 60_000


def segmented(out: Path, segments: int = 3) -> list[Path]:
    draw = np.random.default_rng(4)
    labels = np.arange(500) % segments
    points = draw.normal(labels[:, None], 0.2, (500, 2))
    names = [f"few orders, very long absent, small orders ({number})" for number in range(segments)]
    choice = Choice(2, 2, "the elbow, stable at 0.95")
    return pictures.segment_pictures(
        out, "segment, 2026-03-01", CURVE, choice, points, labels, names, [0.5, 0.3]
    )


@pytest.mark.parametrize("segments", [1, 3, 20])
def test_every_picture_of_segments_is_a_small_png(tmp_path, segments):
    drawn = segmented(tmp_path / "v", segments)
    assert [path.name for path in drawn] == ["elbow.png", "silhouette.png", "map.png"]
    for path in drawn:
        with Image.open(path) as image:
            assert (image.format, image.size) == ("PNG", (800, 500))
        assert path.stat().st_size < 60_000


def test_segments_by_a_single_feature_lie_on_a_line(tmp_path):
    drawn = pictures.segment_pictures(
        tmp_path / "v", "segment", CURVE, Choice(2, 2, "asked for"),
        np.array([[0.0], [0.1], [5.0], [5.1]]), np.array([0, 0, 1, 1]), ["few", "many"], [1.0],
    )  # fmt: skip
    assert [path.name for path in drawn] == ["elbow.png", "silhouette.png", "map.png"]


def test_value_is_drawn_where_some_brought_nothing_and_some_gave_back(tmp_path):
    did = pd.Series([0.0] * 50 + [-20.0] * 10 + [float(10**n) for n in range(5)] * 10)
    methods = {"historic": did * 0, "bg_nbd": did * 0.9 + 1, "boosted": did}
    (drawn,) = pictures.value_pictures(
        tmp_path / "v", "value, 2026-03-01", did, methods, publishes="boosted"
    )
    with Image.open(drawn) as image:
        assert (drawn.name, image.format, image.size) == ("value.png", "PNG", (800, 500))


def test_where_only_one_answer_came_nothing_is_drawn_that_needs_both(tmp_path):
    given = judged(labels=pd.Series(np.ones(200, dtype="int64")))
    drawn = pictures.score_pictures(tmp_path / "v", "churn", given)
    assert [path.name for path in drawn] == ["calibration.png"]


def test_the_same_figures_give_the_same_bytes_whatever_the_own_style_is(
    fitted, tmp_path, monkeypatch
):
    first = pictures.score_pictures(tmp_path / "first", "churn", fitted)
    monkeypatch.setitem(matplotlib.rcParams, "lines.linewidth", 9.0)
    monkeypatch.setitem(matplotlib.rcParams, "axes.facecolor", "red")
    again = pictures.score_pictures(tmp_path / "again", "churn", fitted)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in first]
    assert matplotlib.rcParams["lines.linewidth"] == 9.0


def test_a_dollar_is_no_formula(tmp_path):
    assert len(pictures.score_pictures(tmp_path / "v", r"need:$\no{ & $5", judged())) == 4


def axes_only(figure) -> None:
    figure.subplots()


def test_when_a_drawing_fails_the_old_pictures_stay_and_nothing_else(tmp_path):
    out = tmp_path / "churn-1"
    (before,) = canvas.draw(out, {"roc": axes_only})
    kept = before.read_bytes()
    with pytest.raises(FileNotFoundError):
        canvas.draw(out, {"roc": segmented_figure, "no such folder/map": axes_only})
    assert [path.name for path in tmp_path.iterdir()] == ["churn-1"]
    assert [path.read_bytes() for path in out.iterdir()] == [kept]


def segmented_figure(figure) -> None:
    figure.subplots().plot([1, 2, 3])


def test_where_no_folder_can_be_made_nothing_is_left(tmp_path):
    (tmp_path / "pictures").write_text("a file, no folder")
    with pytest.raises(NotADirectoryError):
        canvas.draw(tmp_path / "pictures" / "churn-1", {"roc": axes_only})
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


def test_pictures_drawn_again_take_the_place_of_all_the_old_ones(tmp_path):
    out = tmp_path / "churn-1"
    canvas.draw(out, {"roc": axes_only, "drift": axes_only})
    canvas.draw(out, {"gain": axes_only})
    assert [path.name for path in out.iterdir()] == ["gain.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["churn-1"]


def test_what_a_killed_run_left_is_cleared_by_the_next(tmp_path):
    (tmp_path / ".churn-1.part").mkdir()
    (tmp_path / ".churn-1.part" / "half.png").write_bytes(b"\x89PNG")
    canvas.draw(tmp_path / "churn-1", {"roc": axes_only})
    assert [path.name for path in (tmp_path / "churn-1").iterdir()] == ["roc.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["churn-1"]


def test_the_versions_of_a_model_lie_together(monkeypatch, tmp_path):
    monkeypatch.setenv("PORTRAIT_HOME", str(tmp_path))
    version = f"churn-{date(2026, 3, 1)}-0123456789ab"
    assert paths.pictures(version) == tmp_path / "pictures" / "churn" / version


def test_no_name_leads_out_of_the_folder_or_into_that_of_another(monkeypatch, tmp_path):
    monkeypatch.setenv("PORTRAIT_HOME", str(tmp_path))
    names = ["..", ".", "/etc", "../..", "need:Tea", "need Tea", "need_Tea", "茶", "酒", "x" * 300]
    found = [paths.pictures(f"{name}-2026-03-01-0123456789ab") for name in names]
    found += [paths.pictures(name) for name in names]
    assert len(set(found)) == 2 * len(names)
    for path in found:
        assert path.resolve().relative_to(tmp_path / "pictures").parts == path.parts[-2:]
        assert max(map(len, path.parts[-2:])) <= 120
