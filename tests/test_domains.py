"""What a business may say of itself, and what is refused."""

import pytest

from include import domains
from include.errors import ConfigError

RETAIL = "like: retail\n"


@pytest.fixture
def written(monkeypatch, tmp_path):
    """Load a domain file of this text; the shipped ones stand beside it."""

    def load(text: str):
        for file in domains.HERE.glob("*.yaml"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
        (tmp_path / f"{tmp_path.name}.yaml").write_text(text)
        monkeypatch.setattr(domains, "HERE", tmp_path)
        return domains.load(tmp_path.name)

    return load


def test_each_flag_of_noise_has_a_rule_for_training(written):
    assert domains.load("retail").noise.left_out == ["is_staff", "is_test"]
    assert written(RETAIL + "noise: {is_staff: keep, is_bulk_buyer: leave_out}").noise.left_out == [
        "is_test",
        "is_bulk_buyer",
    ]


def test_addresses_and_names_are_compared_in_lower_case(written):
    noise = written(RETAIL + "noise: {staff_email_domains: [' Example.COM']}").noise
    assert noise.staff_email_domains == ("example.com",)


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("is_staff: drop", "noise.is_staff: input should be 'keep' or 'leave_out'"),
        ("bulk_limit_mads: 0", "noise.bulk_limit_mads: input should be greater than or equal to 1"),
        ("is_robot: keep", "noise.is_robot: extra inputs are not permitted"),
    ],
)
def test_a_rule_that_is_none_is_refused_by_its_key(written, said, key):
    with pytest.raises(ConfigError, match=key):
        written(RETAIL + f"noise: {{{said}}}")


def test_an_algorithm_that_cannot_say_why_is_compared_and_never_published(written):
    key = "models.algorithm: input should be 'logistic', 'logistic_descent', 'boosting' or 'auto'"
    with pytest.raises(ConfigError, match=key):
        written(RETAIL + "models: {algorithm: forest}")


def test_a_guard_of_one_count_leaves_the_others_as_they_are(written):
    guards = written(RETAIL + "guards: {most_change_percent: {revenue: 5}}").guards
    assert (guards.most_change_percent["revenue"], guards.most_change_percent["customers"]) == (
        5,
        20,
    )
