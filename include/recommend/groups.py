"""With whom a customer is counted: buyers by RFM group, who has bought nothing by country.

What is popular there fills the lists of those whose own purchases say too little.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include import profile
from include.models.rfm import rfm

Numbers = NDArray[np.int32]

COUNTRIES = 50  # with most customers; the others have the popularity of all
NEEDED = ["recency_days", "order_count", "revenue", "country"]


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of customers by number; 0 is everybody.

    ``kinds`` (groups,) 'all', 'segment' or 'country', with their ``names``; ``served`` (customers,)
    the group whose popularity a customer's lists have; ``counted`` (2, customers) those in which a
    purchase counts beside 0: the segment and the country, 0 where there is none.
    """

    kinds: list[str]
    names: list[str]
    served: Numbers
    counted: Numbers

    @classmethod
    def none(cls, customers: int) -> "Groups":
        """Everybody with everybody."""
        nobody = np.zeros(customers, dtype=np.int32)
        return cls(["all"], ["everybody"], nobody, np.stack([nobody, nobody]))


def groups(folder: Path, as_of: date, customers: NDArray[np.int64]) -> Groups:
    """The groups of ``customers`` by the profile of ``as_of``, made if it is not there yet."""
    known = profile.frame(folder, as_of, NEEDED).reindex(customers)
    segment = rfm(known)["rfm_segment"].where(known["recency_days"].notna(), None)
    often = known["country"].value_counts().sort_index(kind="stable")
    kept = often.sort_values(ascending=False, kind="stable").index[:COUNTRIES]
    country = known["country"].where(known["country"].isin(kept), None)
    by_segment, segments = _numbered(segment, 1)
    by_country, countries = _numbered(country, 1 + len(segments))
    return Groups(
        ["all"] + ["segment"] * len(segments) + ["country"] * len(countries),
        ["everybody", *segments, *countries],
        np.where(by_segment > 0, by_segment, by_country),
        np.stack([by_segment, by_country]),
    )


def _numbered(names: pd.Series, first: int) -> tuple[Numbers, list[str]]:
    """Numbers from ``first`` on by ascending name, 0 for none; the names."""
    code, known = pd.factorize(names, sort=True)
    return np.where(code < 0, 0, code + first).astype(np.int32), [str(name) for name in known]
