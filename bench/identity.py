"""How well and at what price records are matched, one JSON line a figure.

python bench/identity.py [records]  (default 1,000,000 made-up ones; 0: the public sets only)

The public sets are read from ../shared/data where they are. Thresholds are those of the code, and
no truth is learnt from; it judges the result alone. ``resolve_`` figures go through PostgreSQL,
from landing to core, and count the core-seconds of this process and of all of the server's: the
first run, one with nothing new, one after 1 % of the records are new.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import psycopg
import pyarrow as pa

from include import duck, identity, warehouse
from include.identity import fields, probable, records, transfer
from include.identity.cluster import Pairs
from include.identity.link import Links, partition, without_keys
from include.local import postgres
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
        "country": pa.repeat("DE", count),
    })  # fmt: skip
    return table, who


def made_up(count: int) -> None:
    """Everybody at once, without a database: what cleaning, learning and weighing take."""
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
        tell("core_s", time.process_time() - used, "core-seconds", records=count)
        tell("wall_s", time.perf_counter() - start, "seconds", records=count)
        _judge(found, who)
    tell("customers", len(np.unique(group)), "groups")


def resolved(count: int) -> None:
    """The same records through PostgreSQL, 99 in 100 first."""
    table, _ = crowd(count)
    later = np.random.default_rng(1).random(count) < 0.01
    with tempfile.TemporaryDirectory() as name:
        server = postgres.start(Path(name), durable=False)
        try:
            with psycopg.connect(server.url_admin, autocommit=True) as db:
                warehouse.deploy(db)
                for source in ("shop", "desk"):
                    db.execute(f"""CREATE TABLE landing.customer_{source}
                        PARTITION OF landing.customer FOR VALUES IN ('{source}')""")
                _land(db, table.filter(pa.array(~later)), count)
                first = _timed(db, "first")
                _timed(db, "unchanged")
                _land(db, table.filter(pa.array(later)), count)
                share = _timed(db, "new") / first
        finally:
            postgres.remove(Path(name))
    tell("resolve_new_share", share, "of the cost of all", new=int(later.sum()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    tell("peak_rss", peak, "MiB, making the records included")


def _land(db: psycopg.Connection, rows: pa.Table, count: int) -> None:
    """Everybody's first record in one source, the others in another."""
    place = rows["n"].to_numpy()
    beside = {
        "source": np.where(place < int(count * 0.7), "shop", "desk"),
        "source_id": place.astype(str),
        "landed_at": np.full(len(place), "2026-11-01"),
        "run_id": np.full(len(place), "bench"),
    }
    for column, values in beside.items():
        rows = rows.append_column(column, pa.array(values))
    with db.transaction():
        db.execute("CREATE TEMP TABLE incoming (LIKE landing.customer) ON COMMIT DROP")
        transfer.write(db, "incoming", rows.drop_columns(["n"]))
        db.execute("INSERT INTO landing.customer SELECT * FROM incoming")
    db.execute("VACUUM ANALYZE")


def _timed(db: psycopg.Connection, name: str) -> float:
    """The core-seconds of one run, here and in the server."""
    here, there = time.process_time(), _served(db)
    identity.resolve(db, run_id=name)
    here, there = time.process_time() - here, _served(db) - there
    tell(f"resolve_{name}_core_s", here + there, "core-seconds", here=round(here, 2))
    return here + there


def _served(db: psycopg.Connection) -> float:
    """Core-seconds of the server's processes so far, those that have ended too."""
    server = psutil.Process(db.info.backend_pid).parent()
    return sum(server.cpu_times()[:4]) + sum(
        sum(process.cpu_times()[:2]) for process in server.children()
    )


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
        resolved(count)
        made_up(count)


if __name__ == "__main__":
    main()
