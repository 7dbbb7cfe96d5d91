from include.models import gate
from include.models.gate import Decision, Requirement


def test_nothing_is_said_when_all_is_there():
    assert gate.readiness([Requirement("history_days", 210, 210)]) is None


def test_every_shortfall_is_named():
    assert gate.readiness([
        Requirement("history_days", 210, 30),
        Requirement("training_dates", 1, 1),
        Requirement("test_positives", 50, 0),
    ]) == Decision(
        False, "not_ready", "history_days: 30 found, 210 needed; test_positives: 0 found, 50 needed"
    )


def test_the_first_one_must_beat_the_baseline():
    assert gate.decide(0.8, None, 0.7).promoted
    assert not gate.decide(0.7, None, 0.7).promoted


def test_a_challenger_must_beat_the_champion_too():
    assert gate.decide(0.8, 0.79, 0.7).promoted
    refused = gate.decide(0.8, 0.8, 0.7)
    assert (refused.decision, refused.reason) == (
        "rejected",
        "does not beat the champion (0.8000 against 0.8000)",
    )


def test_errors_must_be_smaller_and_a_margin_is_kept():
    assert gate.decide(1.0, 1.2, 1.5, higher_is_better=False).promoted
    assert not gate.decide(1.19, 1.2, 1.5, higher_is_better=False, margin=0.1).promoted
