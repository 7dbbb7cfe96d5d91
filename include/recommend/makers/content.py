"""Products alike in words: for those that nobody has bought yet."""

from contextlib import suppress

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

from include.recommend import kernel
from include.recommend.interactions import Interactions

PRICE_BANDS = 5
COMMON = 1000  # products with a word: if they are more, and most of all, it tells none from another


def content(data: Interactions, *, neighbours: int, least: float = 0.2) -> sparse.csr_array:
    """Cosine of TF-IDF vectors over name and description, category, brand and price band.

    Below ``least`` two products are not alike: a common price band alone is no reason.
    """
    vectors = _vectors(data)
    turned = sparse.csr_array(vectors.T.tocsr())
    return kernel.pairs(vectors, turned, neighbours, least=least)


def _vectors(data: Interactions) -> sparse.csr_array:
    """(products, terms) of length 1; all zero for a product without any feature."""
    counts = [_tags(data.features[name]) for name in ("category", "subcategory", "brand")]
    counts.append(_tags(_price_band(data.features["price"])))
    if any(data.features["words"]):
        with suppress(ValueError):  # names of single letters leave no word at all
            words = CountVectorizer(max_df=max(COMMON, len(data.products) // 2))
            counts.append(sparse.csr_array(words.fit_transform(data.features["words"])))
    table = sparse.csr_array(sparse.hstack(counts, format="csr"))
    if not table.shape[1]:
        return table
    return sparse.csr_array(TfidfTransformer().fit_transform(table))


def _tags(values: np.ndarray) -> sparse.csr_array:
    """One column a distinct text, the empty one left out."""
    known, place = np.unique(values.astype(str), return_inverse=True)
    matrix = sparse.csr_array(
        (np.ones(len(values)), (np.arange(len(values)), place)), shape=(len(values), len(known))
    )
    return matrix[:, np.flatnonzero(known != "")]


def _price_band(price: np.ndarray) -> np.ndarray:
    """Fifths of the known prices, as text; empty where there is no price."""
    known = np.isfinite(price)
    if not known.any():
        return np.full(len(price), "")
    edges = np.quantile(price[known], np.arange(1, PRICE_BANDS) / PRICE_BANDS)
    return np.where(known, np.searchsorted(edges, price).astype(str), "")
