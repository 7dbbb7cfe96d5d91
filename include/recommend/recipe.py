"""The settings of the lists: training chooses them, the model card keeps them."""

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from include.domains import Lists
from include.errors import InputError
from include.recommend.makers import MAKERS


@dataclass(frozen=True)
class Recipe:
    """One way to make the lists. A recipe without ``maker`` explores by popularity alone.

    Explore: score[u, j] = sum over bought i of h[u, i] W[i, j] (1 + lift r[j]) + weight q[j].
    h: the customer's orders, decayed, summing to 1. W: the item-item table, of the maker and with a
    weight of the one beside it, the median row's strongest of each being 1. r: buyers in the last
    ``popularity_days`` over those of the best product. q: see ``Popularity``.
    Repeat: score[u, j] = decayed orders (1 + repeat_lift r[j]) (1 + cadence due[u, j]) v[j]^power.
    due: of the newest order's age and the gap to expect the smaller over the larger, see ``Habit``.
    v: the share of its buyers who came back for it, see ``Rhythm``. power: ``returning``.
    """

    maker: str | None = None
    parameters: dict[str, float] = field(default_factory=dict)
    beside: str | None = None  # a second maker, of its own parameters and weight
    beside_parameters: dict[str, float] = field(default_factory=dict)
    beside_weight: float = 0.0
    neighbours: int = 50
    content_weight: float = 0.5  # of likeness in words beside the maker's weights
    cold_buyers: int = 3  # a product with fewer buyers is known by its words alone
    history_half_life_days: float = 90.0
    lift: float = 2.0
    popularity_weight: float = 0.01
    popularity_days: int = 30
    group_prior: float | None = None  # purchases of all beside a group's; None: no groups
    repeat_half_life_days: float | None = 90.0  # None: no order ages
    repeat_lift: float = 0.0
    cadence: float = 0.0
    returning: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no maker of this version can do."""
        for maker in (self.maker, self.beside):
            if maker is not None and maker not in MAKERS:
                raise InputError(f"recipe: maker {maker!r} is unknown; known: {', '.join(MAKERS)}")

    def settings(self) -> dict[str, Any]:
        """The recipe as a JSON-able dict; ``Recipe.read`` reads it back."""
        return asdict(self)

    @classmethod
    def read(cls, settings: dict[str, Any]) -> "Recipe":
        """The recipe of a model card; an InputError names settings of another version."""
        if odd := set(settings) - {known.name for known in fields(cls)}:
            raise InputError(f"recipe: {', '.join(sorted(odd))}: unknown here; train again")
        return cls(**settings)

    @classmethod
    def popular(cls, shop: Lists) -> "Recipe":
        """What is used while no maker has shown itself better, and what each list must beat.

        Explore by popularity, repeat by plain personal frequency: the number of orders.
        """
        return cls(
            neighbours=shop.neighbours,
            popularity_days=shop.popularity_days,
            repeat_half_life_days=None,
        )

    def with_repeat(self, other: "Recipe") -> "Recipe":
        """This recipe with the repeat list of another."""
        return replace(
            self,
            repeat_half_life_days=other.repeat_half_life_days,
            repeat_lift=other.repeat_lift,
            cadence=other.cadence,
            returning=other.returning,
        )
