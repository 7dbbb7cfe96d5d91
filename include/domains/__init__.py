"""What differs by business, read from ``<name>.yaml``: data only, never code.

``PORTRAIT_DOMAIN`` names the file in use; retail when unset. A file may start from another one
(``like: retail``) and say only what differs.
"""

import os
from functools import cache
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from include.errors import ConfigError

HERE = Path(__file__).parent


class Strict(BaseModel):
    """Frozen, unknown keys forbidden: what is read from YAML."""

    model_config = ConfigDict(frozen=True, extra="forbid")


SegmentFeature = Literal[
    "order_count", "revenue", "avg_order_value", "recency_days", "category_count",
    "gap_days_median", "avg_order_lines", "avg_order_units", "discounted_line_share",
    "avg_unit_price",
]  # fmt: skip
"""Those that models/naming.py has words for."""


class Segments(Strict):
    """How customers are grouped."""

    algorithm: Literal["kmeans", "minibatch", "gaussian_mixture", "hdbscan"] = "kmeans"
    features: tuple[SegmentFeature, ...] = (
        "order_count", "revenue", "avg_order_value", "recency_days", "category_count",
    )  # fmt: skip
    fewest: int = Field(3, ge=2, le=20)
    most: int = Field(8, ge=2, le=20)
    actions: dict[str, str]  # RFM group -> suggested action in words


ProductColumn = Literal["product_id", "category", "subcategory", "brand"]


class Lists(Strict):
    """How long and how wide the recommendation lists are, and what is kept off them."""

    explore_length: int = Field(default=5, ge=1, le=50)
    repeat_length: int = Field(default=5, ge=1, le=50)
    audience_length: int = Field(default=50, ge=0, le=1000)  # customers of a product
    neighbours: int = Field(default=50, ge=5, le=1000)
    popularity_days: int = Field(default=30, ge=1)
    test_days: int = Field(default=30, ge=1)
    leave_out: dict[ProductColumn, tuple[str, ...]] = {}  # products with such a value
    least_margin_percent: float | None = Field(default=None, lt=100)  # of the price; unknown: any
    most_per_category: int | None = Field(default=None, ge=1)  # of an explore list
    variety: float | None = Field(default=None, gt=0, lt=1)  # of an explore list, beside its scores


class Identity(Strict):
    """From which likeness on two records are one person."""

    link: float = Field(default=0.9, gt=0.5, lt=1)  # probability
    review: float = Field(default=0.5, gt=0.05, lt=1)  # from here to link a person decides
    same_source: bool = False  # may likeness join two records of one source
    most_records: int = Field(default=20, ge=2)  # that likeness may join into one person

    @field_validator("review")
    @classmethod
    def below_link(cls, review: float, info: ValidationInfo) -> float:
        """What is doubtful is less likely than what is linked."""
        if review > info.data.get("link", 1):
            raise ValueError("must not be above link")
        return review


Rule = Literal["keep", "leave_out"]  # in training, or out of it
FLAGS = ("is_staff", "is_test", "is_bulk_buyer")  # columns of the profile, keys of Noise


class Noise(Strict):
    """Who is no ordinary customer, and of whom the models do not learn. Nobody is removed."""

    staff_email_domains: tuple[str, ...] = ()
    test_names: tuple[str, ...] = ("test", "tester", "test user", "test account", "testuser")
    bulk_limit_mads: int = Field(default=10, ge=1)  # median absolute deviations above the median
    is_staff: Rule = "leave_out"
    is_test: Rule = "leave_out"
    is_bulk_buyer: Rule = "keep"
    duplicate_lines: Literal["keep", "count_once"] = "keep"

    @field_validator("staff_email_domains", "test_names")
    @classmethod
    def plain(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        """As they are compared: lower case, nothing around them."""
        return tuple(word.strip().lower() for word in words)

    @property
    def left_out(self) -> list[str]:
        """The flags of those whom training leaves out."""
        return [flag for flag in FLAGS if getattr(self, flag) == "leave_out"]


Measure = Literal["customers", "revenue", "products", "recommendations", "scores"]


class Guards(Strict):
    """How much a publish may change before a person is asked."""

    most_change_percent: dict[Measure, int] = {
        "customers": 20,
        "revenue": 30,
        "products": 30,
        "recommendations": 30,
        "scores": 30,
    }
    within_days: int = Field(default=31, ge=0)  # further apart, any count is right

    @field_validator("most_change_percent")
    @classmethod
    def all_measures(cls, given: dict[Measure, int]) -> dict[Measure, int]:
        """What a file does not say stays as it is."""
        return {**cls.model_fields["most_change_percent"].default, **given}


class Fairness(Strict):
    """How far a score may favour one group of people before a person is asked."""

    selected_share: float = Field(default=0.2, gt=0, lt=1)  # the highest scores: who is contacted
    demographic_parity: float | None = Field(default=0.2, ge=0, le=1)  # null: never asks
    equalised_odds: float | None = Field(default=0.2, ge=0, le=1)
    used: dict[str, Annotated[str, Field(min_length=10)]] = {}  # sensitive column -> why it is used


class Asks(Strict):
    """From which limits on a person is asked before a version that beats the others is used."""

    psi: float = Field(default=0.25, gt=0)  # of the scores, from the test day to today
    calibration_error: float = Field(default=0.1, gt=0, le=1)
    rows_percent: float = Field(default=50, ge=0)  # of those the champion learned from, at least
    too_good: tuple[str, ...] = ()  # features that may foretell nearly everything on their own


class Models(Strict):
    """How scores are learned."""

    algorithm: Literal["logistic", "logistic_descent", "boosting", "auto"] = "auto"
    compare: bool = False  # measure all of them at each training
    trials: int = Field(default=0, ge=0, le=100)  # of a search; 0: the algorithm's own parameters
    needs: int = Field(default=3, ge=0, le=20)  # categories that have a model of their own
    asks: Asks = Asks()
    reasons_share: float = Field(default=0.2, gt=0, le=1)  # of the eligible, the highest scores


class Domain(Strict):
    """One business: its clock, its money, its windows."""

    name: str
    time_zone: str = "UTC"
    currency: str = "EUR"
    churn_window_days: int = Field(90, ge=1)
    purchase_window_days: int = Field(default=30, ge=1)
    consent_default: Literal["allowed", "denied"] = "allowed"
    test_order_statuses: tuple[str, ...] = ("cancelled", "quote", "deleted")
    noise: Noise = Noise()
    segments: Segments
    lists: Lists = Lists()
    identity: Identity = Identity()
    guards: Guards = Guards()
    models: Models = Models()
    fairness: Fairness = Fairness()

    @field_validator("time_zone")
    @classmethod
    def known_zone(cls, zone: str) -> str:
        """A zone name of the tz database."""
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{zone!r} is no time zone of the tz database") from error
        return zone


def load(name: str | None = None) -> Domain:
    """Read ``<name>.yaml`` (default: ``PORTRAIT_DOMAIN``, else retail)."""
    return _read(name or os.environ.get("PORTRAIT_DOMAIN") or "retail")


@cache
def _read(name: str) -> Domain:
    path = HERE / f"{name}.yaml"
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in HERE.glob("*.yaml")))
        raise ConfigError(f"PORTRAIT_DOMAIN={name}: no include/domains/{name}.yaml; known: {known}")
    raw = yaml.safe_load(path.read_bytes())
    try:
        like = load(raw.pop("like")).model_dump() if "like" in raw else {}
        return Domain.model_validate({**like, "name": name, **raw})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{path.name}: {key}: {first['msg'].lower()}; fix the file") from error
