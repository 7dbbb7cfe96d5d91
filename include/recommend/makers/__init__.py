"""The ways to an item-item table. Each is one file with one function, and one line in ``MAKERS``.

A maker takes the purchases of those who are not left out (``learned``, ``baskets``, ``buyers``)
and gives a CSR, products x products: row = bought, column = recommended, negative where a purchase
speaks against, an empty diagonal, at most ``neighbours`` entries a row. Its own parameters have
defaults; ``GRID`` lists the settings that training tries.
"""

from collections.abc import Callable, Mapping

from scipy import sparse

from include.recommend.makers.content import content
from include.recommend.makers.copurchase import copurchase
from include.recommend.makers.cosine import cosine
from include.recommend.makers.customers import customers
from include.recommend.makers.ease import ease
from include.recommend.makers.rp3beta import rp3beta
from include.recommend.makers.spectral import spectral

Maker = Callable[..., sparse.csr_array]  # (Interactions, *, neighbours, own parameters)

MAKERS: Mapping[str, Maker] = {
    "spectral": spectral,
    "ease": ease,
    "rp3beta": rp3beta,
    "cosine": cosine,
    "customers": customers,
    "copurchase": copurchase,
    "content": content,
}

GRID: Mapping[str, tuple[dict[str, float], ...]] = {
    "spectral": (
        {},
        {"plateau": 3.0, "pull": 0.5},
        {"popularity": 0.2},
        {"leading": 128, "plateau": 3.0, "pull": 0.2, "popularity": 0.2},
        {"leading": 128},
        {"customer_power": 0.5, "plateau": 1.5, "pull": 0.2},
    ),
    "ease": ({"ridge": 100.0}, {"ridge": 300.0}, {"ridge": 1000.0}),
    "customers": ({"alike": 0.5}, {"alike": 0.8, "popularity": 0.4}),
    "cosine": (
        {"shrink": 0.0, "balance": 0.5},
        {"shrink": 10.0, "balance": 0.5},
        {"shrink": 10.0, "balance": 0.3},
        {"shrink": 10.0, "balance": 0.2},
    ),
    "rp3beta": ({"alpha": 0.8, "beta": 0.2}, {"alpha": 1.0, "beta": 0.4}),
    "copurchase": ({"beta": 0.2}, {"beta": 0.5}),
    "content": ({},),
}
