"""RFM groups: customers in fifths of recency, frequency and money, and nine names for them."""

import numpy as np
import numpy.typing as npt
import pandas as pd

PROSPECT = "prospect"
FIFTHS = 5


def fifths(values: pd.Series) -> pd.Series:
    """1 to 5, where 5 holds the largest values; equal values share a fifth.

    >>> fifths(pd.Series([10.0, 20.0, 30.0, 40.0, 50.0])).tolist()
    [1, 2, 3, 4, 5]
    """
    share = (values.rank(method="average") - 0.5) / max(1, len(values))
    return np.ceil(FIFTHS * share).clip(1, FIFTHS).astype("int64")


def rfm(profiles: pd.DataFrame) -> pd.DataFrame:
    """rfm_code ('543': recency, frequency, money; 5 is best) and rfm_segment of each customer.

    Customers without a purchase are prospects without a code. The grid, with FM the mean of F and
    M, halves rounded up, first match wins:

    ====== ============== =================================
    R      FM             group
    ====== ============== =================================
    4, 5   4, 5           champions
    3 to 5 4, 5           loyal
    4, 5   3              loyal
    4, 5   1, 2           new (one order), else promising
    3      1 to 3         needs_attention
    1, 2   3 to 5         at_risk
    2      1, 2           hibernating
    1      1, 2           lost
    ====== ============== =================================
    """
    found = pd.DataFrame({"rfm_code": None, "rfm_segment": PROSPECT}, index=profiles.index)
    found = found.astype("object")
    buyers = profiles[profiles["recency_days"].notna()]
    recency = fifths(-buyers["recency_days"])
    frequency = fifths(buyers["order_count"])
    money = fifths(buyers["revenue"].round(2))
    code = recency.astype(str) + frequency.astype(str) + money.astype(str)
    found.loc[buyers.index, "rfm_code"] = code.astype("object")
    groups = _groups(recency, (frequency + money + 1) // 2, buyers["order_count"])
    found.loc[buyers.index, "rfm_segment"] = groups
    return found


def dominant(groups: pd.Series) -> str:
    """The group that most belong to; of equals the first by name.

    >>> dominant(pd.Series(["loyal", "at_risk", "loyal", "at_risk", "lost"]))
    'at_risk'
    """
    return str(groups.mode().iloc[0])


def _groups(r: pd.Series, fm: pd.Series, order_count: pd.Series) -> npt.NDArray[np.object_]:
    grid = [
        ((r >= 4) & (fm >= 4), "champions"),
        (((r >= 3) & (fm >= 4)) | ((r >= 4) & (fm == 3)), "loyal"),
        ((r >= 4) & (order_count <= 1), "new"),
        (r >= 4, "promising"),
        (r == 3, "needs_attention"),
        (fm >= 3, "at_risk"),
        (r == 2, "hibernating"),
    ]
    conditions = [condition.to_numpy() for condition, _ in grid]
    names = [np.array(name, dtype="object") for _, name in grid]
    return np.asarray(np.select(conditions, names, np.array("lost", dtype="object")))
