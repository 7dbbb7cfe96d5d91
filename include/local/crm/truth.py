"""What was planted in the demo CRM, and the best score that any method could reach on it.

Only tests read it. ``truth.json`` holds noise, bounds, dirt and the planted product pairs; beside
it lie ``truth.person.parquet`` (one row a person) and ``truth.record.parquet`` (who is who, and
whose are the accounts of staff and those made to try things).
"""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from include.local.crm import people
from include.local.crm.catalogue import CATEGORIES, Catalogue
from include.local.crm.orders import PURCHASE, RETURN, Orders, amount_cents
from include.local.crm.people import Records
from include.local.crm.world import (
    COMPANY_SHARE,
    CONTENT_EFFECT,
    PAUSE_DAYS,
    PAUSE_SHAPE,
    SEGMENTS,
    SPREAD,
    Array,
    People,
    Plan,
    Purchases,
    purchases,
)

LAPSE_DAYS, VALUE_DAYS = 90, 365
FUTURES = 8
"""Futures drawn for the expected number of orders."""


@dataclass
class Truth:
    """What has been collected, block by block."""

    persons: list[pd.DataFrame] = field(default_factory=list)
    records: list[pd.DataFrame] = field(default_factory=list)

    def add(
        self, plan: Plan, folk: People, goods: Catalogue, bought: Purchases, made: Orders,
        known: Records,
    ) -> None:  # fmt: skip
        """Keep the truth about one block."""
        future = _future(plan, folk, goods, bought, made)
        codes, names = np.array(goods.code), np.array(list(CATEGORIES))
        shares = np.diff(made.taste, axis=1, prepend=0)
        traits = {
            "person": folk.number,
            "segment": np.array([s.name for s in SEGMENTS])[folk.segment],
            "gap_days": folk.gap_days,
            "gap_shape": folk.gap_shape,
            "pause_share": folk.pause_share,
            "content": folk.content,
            "segment_guess": _segment_guess(folk),
            "favourite_category": names[shares.argmax(axis=1)],
            "staple_product": codes[made.staple],
        }
        self.persons.append(pd.DataFrame({**traits, **future}))
        self.records.append(_who_is_who(plan, known))

    def write(self, path: Path, plan: Plan, goods: Catalogue, dirt: dict[str, Any]) -> None:
        """Write the three files."""
        persons = pd.concat(self.persons, ignore_index=True)
        records = pd.concat(self.records, ignore_index=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        persons.to_parquet(path.with_suffix(".person.parquet"), index=False)
        records.to_parquet(path.with_suffix(".record.parquet"), index=False)
        summary = {
            "plan": {**asdict(plan), "last_day": str(plan.last_day)},
            "noise": {
                "segment_spread": SPREAD,
                "gap_variation": float((persons["gap_shape"] ** -0.5).mean()),
                "lapse_days": LAPSE_DAYS,
            },
            "bounds": bounds(persons, records, goods),
            "dirt": dirt,
            "pairs": _pairs(goods),
        }
        path.with_suffix(".json").write_text(json.dumps(summary, indent=1))


def _future(
    plan: Plan, folk: People, goods: Catalogue, bought: Purchases, made: Orders
) -> dict[str, Array]:
    """What each person will do after the last day, and what could be known of it."""
    everyone, end = np.arange(len(folk)), float(plan.shop_time(plan.days))
    last = bought.at(everyone, end - 1e-9)
    has = last >= 0
    day = plan.day(bought.shop_time)
    found = np.where(has, last, 0)
    has &= (day[found] >= 0) if len(day) else False
    since = bought.shop_time[found] if len(day) else np.zeros(len(folk))
    paused = bought.paused[found] & has if len(day) else has
    usual, pause = _survivals(plan, folk, end - since)
    chance = np.where(paused, pause[1] / pause[0], usual[1] / usual[0])
    mixed = folk.pause_share * np.array(pause) + (1 - folk.pause_share) * np.array(usual)
    cents = np.where(made.voided, 0, amount_cents(made, goods))
    of, when = made.person[made.line_order], made.placed[made.line_order]
    real = np.isin(made.kind[made.line_order], (PURCHASE, RETURN))
    soon = real & (when >= plan.seconds(np.array(plan.days)))
    soon &= when < plan.seconds(np.array(plan.days + VALUE_DAYS))

    def orders_in(first: int, after: int) -> Array:
        chosen = bought.person[(day >= first) & (day < after)]
        return np.bincount(chosen.astype(int), minlength=len(folk))

    return {
        "orders": orders_in(0, plan.days),
        "last_order_day": np.where(has, day[found] if len(day) else 0, -1),
        "paused": paused,
        "lapsed": orders_in(plan.days, plan.days + LAPSE_DAYS) == 0,
        "lapse_chance": np.where(has, chance, np.nan),
        "lapse_chance_from_orders": np.where(has, mixed[1] / mixed[0], np.nan),
        "orders_next_year": orders_in(plan.days, plan.days + VALUE_DAYS),
        "revenue_next_year": np.bincount(of[soon], cents[soon], len(folk)) / 100,
        "orders_next_year_expected": _expected(plan, folk, has, paused, since),
    }


def _survivals(plan: Plan, folk: People, waited: Array) -> tuple[tuple[Array, Array], ...]:
    """P(gap > waited) and P(gap > waited + LAPSE_DAYS), for a usual gap and for a pause."""
    ahead = float(plan.shop_time(plan.days + LAPSE_DAYS) - plan.shop_time(plan.days))
    scale = folk.gap_days / folk.gap_shape
    tiny = 1e-300  # a gap this long is possible, though a double says zero
    usual = [special.gammaincc(folk.gap_shape, w / scale) + tiny for w in (waited, waited + ahead)]
    pause = [
        special.gammaincc(PAUSE_SHAPE, w * PAUSE_SHAPE / PAUSE_DAYS)
        for w in (waited, waited + ahead)
    ]
    return (usual[0], usual[1]), (pause[0], pause[1])


def _expected(plan: Plan, folk: People, has: Array, paused: Array, since: Array) -> Array:
    """Mean orders in the year after the last day over futures that start from the hidden state."""
    rng, who = plan.rng(13, folk.block), np.flatnonzero(has)
    end, until = float(plan.shop_time(plan.days)), float(plan.shop_time(plan.days + VALUE_DAYS))
    shape = np.where(paused, PAUSE_SHAPE, folk.gap_shape)[who]
    scale = np.where(paused, PAUSE_DAYS / PAUSE_SHAPE, folk.gap_days / folk.gap_shape)[who]
    total = np.zeros(len(folk))
    for _ in range(FUTURES):
        beyond = stats.gamma.sf(end - since[who], shape, scale=scale)
        gap = stats.gamma.isf(np.maximum(rng.random(len(who)) * beyond, 1e-300), shape, scale=scale)
        soon = since[who] + gap < until
        drawn = purchases(plan, folk, who[soon], (since[who] + gap)[soon], rng)
        total += np.bincount(drawn.person[drawn.shop_time < until].astype(int), minlength=len(folk))
    expected: Array = np.where(has, total / FUTURES, np.nan)
    return expected


def _segment_guess(folk: People) -> Array:
    """The likeliest segment given every trait: behaviour says no more than the traits do."""
    score = np.zeros((len(folk), len(SEGMENTS)))
    odds = special.logit(folk.pause_share) + CONTENT_EFFECT * folk.content
    for at, segment in enumerate(SEGMENTS):
        business = segment.name == "businesses"
        firm = COMPANY_SHARE[1] if business else COMPANY_SHARE[0]
        score[:, at] = (
            np.log(segment.share)
            + stats.norm.logpdf(np.log(folk.gap_days / segment.gap_days), scale=SPREAD["gap"])
            + stats.norm.logpdf(odds, special.logit(segment.pause_share), SPREAD["pause"])
            + stats.norm.logpdf(np.log(folk.lines / segment.lines), scale=SPREAD["lines"])
            + stats.norm.logpdf(np.log(folk.quantity / segment.quantity), scale=SPREAD["quantity"])
            + stats.norm.logpdf(
                special.logit(folk.bargain_share),
                special.logit(segment.bargain_share),
                SPREAD["bargain"],
            )
            + np.log(np.array(segment.tier)[folk.tier])
            + np.log(np.where(folk.company, firm, 1 - firm))
        )
    return np.asarray(np.array([s.name for s in SEGMENTS])[score.argmax(axis=1)])


def _who_is_who(plan: Plan, known: Records) -> pd.DataFrame:
    until = int(plan.seconds(np.array(plan.days)))
    shop, account = known.shop_created < until, known.account_created < until
    parts = [
        ("shop", known.shop_id[shop].astype(str), known.shop, shop),
        ("support", people.account_no(known.account.number[account]), known.account, account),
    ]
    return pd.concat([
        pd.DataFrame({
            "source": source,
            "source_id": keys,
            "person": identity.number[there],
            "hopeless": identity.hopeless[there],
            "is_staff": people.is_staff(identity.number[there]),
            "is_test": people.is_test(identity.number[there]),
        })
        for source, keys, identity, there in parts
    ])  # fmt: skip


def _pairs(goods: Catalogue) -> list[dict[str, Any]]:
    codes = goods.code
    return [
        {
            "product": codes[at],
            "partner": codes[goods.partner[at]],
            "share": round(float(goods.partner_share[at]), 4),
        }
        for at in np.flatnonzero(goods.partner >= 0).tolist()
    ]


def _auc(label: Array, score: Array) -> float | None:
    """Area under the ROC curve by ranks; None with one class only."""
    positive = int(label.sum())
    negative = len(label) - positive
    if not positive or not negative:
        return None
    rank = stats.rankdata(score)[label].sum()
    return float((rank - positive * (positive + 1) / 2) / (positive * negative))


def _pair_count(sizes: pd.Series) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


def bounds(persons: pd.DataFrame, records: pd.DataFrame, goods: Catalogue) -> dict[str, Any]:
    """The best that can be reached; ``lapse_auc`` knows even who has paused."""
    bought = persons[persons["orders"] > 0]
    lapsed = bought["lapsed"].to_numpy()
    pairs = _pair_count(records.groupby("person").size())
    hopeful = _pair_count(records[~records["hopeless"]].groupby("person").size())
    year = bought[["orders_next_year", "orders_next_year_expected"]]
    return {
        "lapse_auc": _auc(lapsed, bought["lapse_chance"].to_numpy()),
        "lapse_auc_from_orders": _auc(lapsed, bought["lapse_chance_from_orders"].to_numpy()),
        "lapse_share": float(lapsed.mean()) if len(bought) else None,
        "match_recall": hopeful / pairs if pairs else None,
        "true_pairs": pairs,
        "segment_accuracy": float((persons["segment"] == persons["segment_guess"]).mean()),
        "next_year_orders_rank_correlation": (
            float(stats.spearmanr(year.iloc[:, 0], year.iloc[:, 1]).statistic)
            if len(bought) > 2 else None
        ),
        "partner_in_basket_share": float(goods.partner_share[goods.partner >= 0].mean()),
        "records": dict(sorted(Counter(records["source"]).items())),
    }  # fmt: skip
