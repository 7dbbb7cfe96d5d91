"""How well and at what price records are matched, one JSON line a figure.

python bench/identity.py [records]  (default 1,000,000 made-up ones; 0: the public sets only)

The public sets are read from ../shared/data where they are. Thresholds are those of the code, and
no truth is learnt from; it judges the result alone.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from include import duck
from include.identity import fields, probable, records
from include.identity.cluster import Pairs
from include.identity.link import Links, partition, without_keys
from include.local.match import matched

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "shared" / "data"
FEBRL = """
fields:
  given: {kind: given_name, value: given_name, swap: family}
  family: {kind: name, value: surname, swap: given}
  birth_date: {kind: date, value: date_of_birth}
  number: {kind: code, value: street_number}
  street: {kind: words, value: address_1}
  place: {kind: words, value: address_2}
  suburb: {kind: words}
  postcode: {kind: code}
  state: {kind: category}
blocks: [[given, family], [birth_date], [postcode, given], [postcode, family], [street],
         [suburb, given], [suburb, family], [suburb, number], [postcode, number], [place]]
train: [[birth_date], [given, family]]
sure: [[given, family, birth_date], [birth_date, postcode]]
"""
FAKE = """
fields:
  given: {kind: given_name, value: first_name, swap: family}
  family: {kind: name, value: surname, swap: given}
  birth_date: {kind: date, value: dob}
  city: {kind: words}
  email: {kind: mistyped_email}
blocks: [[given, family], [birth_date], [email], [email__user], [family, city], [given, city]]
train: [[birth_date], [email], [given, family]]
sure: [[given, family, birth_date], [email]]
"""


def tell(name: str, value: float, unit: str, **about: object) -> None:
    print(json.dumps({"name": f"identity_{name}", "value": round(value, 4), "unit": unit} | about))


def public(folder: Path) -> None:
    """FEBRL 1 to 3 without the social security number, and fake_1000."""
    sets = {f"febrl_{n}": (DATA / "febrl" / f"dataset{n}.csv.gz", FEBRL) for n in (1, 2, 3)}
    sets["fake_1000"] = (DATA / "fake_1000" / "fake_1000.csv", FAKE)
    for name, (path, config) in sets.items():
        if not path.exists():
            print(f"no {path.name} beside this checkout: {name} left out", file=sys.stderr)
            continue
        frame = pd.read_csv(path, dtype=str, skipinitialspace=True)
        frame.columns = frame.columns.str.strip()
        if name == "fake_1000":
            frame = frame.rename(columns={"unique_id": "id"})
        else:
            said = frame["rec_id"].str.extract(r"rec-(\d+)-")[0]
            frame = frame.assign(cluster=said, id=range(len(frame)))
            frame = frame.drop(columns=["rec_id", "soc_sec_id"])
        frame[["id", "cluster"]].to_csv(folder / "truth.csv", index=False)
        frame.drop(columns="cluster").to_csv(folder / "given.csv", index=False)
        (folder / "fields.yaml").write_text(config)
        made = matched([folder / "given.csv"], folder / "fields.yaml", truth=folder / "truth.csv")
        for figure in ("pair_f1", "cluster_f1"):
            tell(f"{name}_{figure}", made[figure], "share", records=made["records"])


def crowd(count: int, seed: int = 7) -> tuple[pa.Table, np.ndarray]:
    """Records in the columns of landing.customer, and who is who: three in ten are again there."""
    rng = np.random.default_rng(seed)
    persons = int(count * 0.7)
    who = np.concatenate([np.arange(persons), rng.integers(0, persons, count - persons)])
    parts = np.array([a + b for a in "bdfgklmnprst" for b in ("a", "e", "i", "o", "u", "er", "an")])
    given = np.char.add(parts[rng.integers(0, 84, persons)], parts[rng.integers(0, 84, persons)])
    family = np.char.add(parts[rng.integers(0, 84, persons)], parts[rng.integers(0, 84, persons)])
    family = np.char.add(family, parts[rng.integers(0, 84, persons)])
    born = np.datetime64("1940-01-01") + rng.integers(0, 24_000, persons)
    mail = np.char.add(np.arange(persons).astype(str), "@mail.test")
    phone = np.char.add("0170", (10_000_000 + np.arange(persons)).astype(str))
    street = np.char.add(
        np.char.add(rng.integers(1, 200, persons).astype(str), " "),
        parts[rng.integers(0, 84, persons)],
    )
    post = np.char.add("D", rng.integers(10_000, 99_999, persons).astype(str))
    again = np.arange(count) >= persons

    def said(values: np.ndarray, lost: float) -> pa.Array:
        gone = again & (rng.random(count) < lost)
        return pa.array(values.astype(str)[who], mask=gone)

    slip = again & (rng.random(count) < 0.1)
    last = np.where(slip, np.char.add(family[who], "e"), family[who])
    nothing = pa.nulls(count, pa.string())
    table = pa.table({
        "n": np.arange(count), "first_name": said(given, 0), "last_name": last,
        "full_name": nothing, "company": nothing, "is_company": nothing, "email": said(mail, 0.5),
        "phone": said(phone, 0.5), "birth_date": said(born, 0.3), "street": said(street, 0.2),
        "postal_code": said(post, 0.2), "city": said(parts[rng.integers(0, 84, persons)], 0),
    })  # fmt: skip
    return table, who


def made_up(count: int) -> None:
    """Everybody at once, then one record in a hundred anew, against what was learnt."""
    table, who = crowd(count)
    wanted = fields.load()
    with duck.opened("bench") as (db, _):
        db.register("given", table)
        start, used = time.perf_counter(), time.process_time()
        records.prepare(db, wanted, "given")
        tell("prepare_core_s", time.process_time() - used, "core-seconds", records=count)
        model = probable.train(db, wanted)
        tell("learnt_core_s", time.process_time() - used, "core-seconds, with prepare")
        db.execute("CREATE TABLE fresh AS SELECT n FROM record")
        found = probable.score(db, wanted, model, least=0.5)
        group = _groups(found, count)
        full = time.process_time() - used
        tell("core_s", full, "core-seconds", records=count)
        tell("wall_s", time.perf_counter() - start, "seconds", records=count)
        _judge(found, who)
        used = time.process_time()
        records.prepare(db, wanted, "given")
        ready = time.process_time() - used
        db.execute("CREATE OR REPLACE TABLE fresh AS SELECT n FROM record WHERE n % 100 = 0")
        probable.score(db, wanted, model, least=0.5)
        again = time.process_time() - used
        tell("new_share", again / full, "of the cost of all", new=count // 100)
        tell("new_weighing_share", (again - ready) / full, "of the cost of all", new=count // 100)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    tell("peak_rss", peak, "MiB, making the records included")
    tell("customers", len(np.unique(group)), "groups")


def _groups(found: pa.Table, count: int) -> np.ndarray:
    likely = found.filter(found["probability"].to_numpy() >= 0.9)
    pairs = Pairs(*(likely[name].to_numpy() for name in ("l", "r", "weight")))
    links = Links(probable=pairs)
    return partition(without_keys(count), max_records_per_key=1, links=links).group


def _judge(found: pa.Table, who: np.ndarray) -> None:
    likely = found["probability"].to_numpy() >= 0.9
    right = who[found["l"].to_numpy()] == who[found["r"].to_numpy()]
    sizes = np.bincount(who)
    true = int((sizes * (sizes - 1) // 2).sum())
    tell("made_up_precision", (right & likely).sum() / likely.sum(), "share of pairs")
    tell("made_up_recall", (right & likely).sum() / true, "share of pairs")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        public(Path(name))
    if count:
        made_up(count)


if __name__ == "__main__":
    main()
