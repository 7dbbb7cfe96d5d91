import pandas as pd

from include.models.rfm import fifths, rfm


def group(recency, orders, revenue):
    """Code and group of one customer among 24 others: five steps of each of the three."""
    others = [
        (days, count, 100 * count) for days in (5, 30, 60, 120, 300) for count in (1, 2, 4, 8, 16)
    ]
    columns = ["recency_days", "order_count", "revenue"]
    found = rfm(
        pd.DataFrame([*others, (recency, orders, revenue)], columns=columns, dtype="float64")
    )
    return tuple(found.iloc[-1])


def test_fifths_of_equal_values_are_equal():
    assert fifths(pd.Series([1, 1, 1, 1, 9.0])).tolist() == [2, 2, 2, 2, 5]


def test_a_customer_alone_is_average():
    assert fifths(pd.Series([7.0])).tolist() == [3]


def test_groups():
    assert group(1, 20, 2000) == ("555", "champions")
    assert group(1, 1, 10) == ("511", "new")
    assert group(400, 1, 10) == ("111", "lost")
    assert group(400, 20, 2000) == ("155", "at_risk")
    assert group(61, 2, 200) == ("322", "needs_attention")
    assert group(5, 2, 200) == ("522", "promising")
    assert group(121, 1, 10) == ("211", "hibernating")
    assert group(61, 20, 2000) == ("355", "loyal")


def test_without_a_purchase_there_is_no_code():
    assert group(None, 0, -5) == (None, "prospect")
