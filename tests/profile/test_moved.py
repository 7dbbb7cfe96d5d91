"""A profile that starts from an earlier one is the profile that is computed from nothing."""

import copy
import json
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include import profile
from tests.profile.random_shop import START, random_shop
from tests.snapshots import write_snapshot

AS_OF = date(2025, 12, 15)


def follow(folder, previous, touched):
    """Say in a snapshot's manifest who changed since the previous one."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["previous"] = {"folder": previous.name, "known_at": manifest["known_at"]}
    customers = pa.table({"customer_id": pa.array(sorted(touched), pa.int64())})
    pq.write_table(customers, folder / "touched.parquet")
    (folder / "manifest.json").write_text(json.dumps(manifest))


SAME_YEAR = (100, 350), (375, 430)  # days since START of which both are in one calendar year


def sparse_shop(rng, seed):
    """A random shop of which few rows are left: most days nothing happens to a customer."""
    shop = random_shop(seed, customers=300)
    return {
        entity: rows if entity in {"customer", "product"}
        else [row for row in rows if rng.random() < 0.15]
        for entity, rows in shop.items()
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_from_any_day_to_any_other_the_facts_that_stay_are_right(tmp_path, seed, monkeypatch):
    monkeypatch.setattr(profile.moved, "MOST", 1)
    monkeypatch.setattr(profile, "PART_LINES", 50 if seed % 3 == 0 else 10_000)
    rng = np.random.default_rng([4, seed])
    folder = write_snapshot(tmp_path, **sparse_shop(rng, seed))
    one = START.date() + timedelta(days=int(rng.integers(*SAME_YEAR[seed % 2])))
    other = one + timedelta(days=int(rng.choice([-9, -2, -1, 1, 2, 9])))
    base = profile.compute(folder, one)
    from_base = pq.read_table(profile.compute(folder, other, base=base))
    assert from_base.equals(pq.read_table(profile.compute(folder, other)))


def change_somebody(shop, rng):
    """Change, add and take away rows; return whose."""
    touched = set()
    for entity, rows in shop.items():
        if entity == "product":
            continue
        for number in rng.integers(0, len(rows), max(1, len(rows) // 100)):
            touched.add(rows[number]["customer_id"])
            rows[number] = {**rows[rng.integers(0, len(rows))]}
            touched.add(rows[number]["customer_id"])
        touched.add(rows.pop()["customer_id"])
    return touched - {None}


@pytest.mark.parametrize("seed", range(12))
def test_who_was_touched_is_computed_and_the_others_stay_right(tmp_path, seed, monkeypatch):
    monkeypatch.setattr(profile.moved, "MOST", 1)
    rng = np.random.default_rng([5, seed])
    shop = random_shop(seed, customers=150)
    before = write_snapshot(tmp_path / "before", **copy.deepcopy(shop))
    touched = change_somebody(shop, rng)
    after = write_snapshot(tmp_path / "after", **shop)
    follow(after, before, touched)
    profile.compute(before, AS_OF - timedelta(days=int(rng.integers(0, 3))))
    base = profile.base_of(after, AS_OF)
    from_base = pq.read_table(profile.compute(after, AS_OF, base=base))
    assert from_base.equals(pq.read_table(profile.compute(after, AS_OF)))


def test_only_the_touched_are_computed(tmp_path, line, caplog):
    caplog.set_level("INFO")
    customers = [{"customer_id": n} for n in range(1, 11)]
    lines = [line(n, f"o{n}", "2025-11-03") for n in range(1, 11)]
    before = write_snapshot(tmp_path / "before", customer=customers, order_line=lines)
    base = profile.compute(before, AS_OF)
    lines.append(line(3, "more", "2025-11-04"))
    after = write_snapshot(tmp_path / "after", customer=customers, order_line=lines)
    follow(after, before, {3})
    profile.compute(after, AS_OF, base=base)
    assert "1 of 10 customers changed and are computed" in caplog.text
    assert profile.frame(after, AS_OF)["order_count"].tolist() == [1, 1, 2, *[1] * 7]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda base: base.unlink(), "it is not there"),
        (lambda base: pq.write_table(pq.read_table(base).replace_schema_metadata({"recipe": "x"}),
                                     base), "it was made by other SQL"),
        (lambda base: follow(base.parent.parent / "after", base.parent.parent / "other", {1}),
         "it is not of the previous snapshot"),
    ],
)  # fmt: skip
def test_a_base_that_cannot_serve_is_passed_over(tmp_path, caplog, spoil, reason):
    caplog.set_level("INFO")
    shop = random_shop(1)
    before = write_snapshot(tmp_path / "before", **shop)
    after = write_snapshot(tmp_path / "after", **shop)
    follow(after, before, {1})
    base = profile.compute(before, AS_OF)
    spoil(base)
    made = pq.read_table(profile.compute(after, AS_OF, base=base))
    assert f"all customers are computed: base {base}: {reason}" in caplog.text
    assert made.equals(pq.read_table(profile.compute(before, AS_OF)))


def test_another_calendar_year_is_computed_anew(tmp_path, caplog):
    caplog.set_level("INFO")
    folder = write_snapshot(tmp_path, customer=[{"customer_id": 1, "birth_year": 1990}])
    base = profile.compute(folder, date(2025, 12, 31))
    profile.compute(folder, date(2026, 1, 1), base=base)
    assert "ages are told by calendar years" in caplog.text


def test_most_customers_changed_means_all_are_computed(tmp_path, caplog, line):
    caplog.set_level("INFO")
    customers = [{"customer_id": n} for n in (1, 2)]
    folder = write_snapshot(tmp_path, customer=customers, order_line=[line(1, "a", "2025-12-14")])
    base = profile.compute(folder, date(2025, 12, 14))
    profile.compute(folder, AS_OF, base=base)
    assert "1 of 2 customers changed: all are computed" in caplog.text
    assert profile.frame(folder, AS_OF)["order_count"].tolist() == [1, 0]
