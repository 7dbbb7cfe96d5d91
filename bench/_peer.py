"""One recommender library in an environment of its own, asked by lines of JSON; see _peers.py.

Arguments: LIBRARY FOLDER THREADS. FOLDER/train.npz is a CSR, customers x products. Each request is
answered by its core-seconds and seconds; `lists` writes lists.npy (customers, length; -1: empty).
"""

import json
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy import sparse


class Library(Protocol):
    """What is asked of each."""

    def fit(self, **settings: Any) -> None:
        """Learn from the whole matrix."""

    def lists(self, length: int, new: bool, barred: list[int], customers: list[int] | None) -> Any:
        """(customers, length) products, best first; ``new``: none that the customer has."""


class Implicit:
    """implicit's ALS; ``weighted`` takes the cells as they are, else each as 1."""

    def __init__(self, train: sparse.csr_matrix, threads: int) -> None:
        self.train, self.threads = train, threads

    def fit(self, *, weighted: bool = False, **settings: Any) -> None:
        from implicit.als import AlternatingLeastSquares

        cells = self.train if weighted else (self.train > 0).astype(np.float32)
        self.model = AlternatingLeastSquares(num_threads=self.threads, random_state=1, **settings)
        self.model.fit(sparse.csr_matrix(cells), show_progress=False)

    def lists(self, length: int, new: bool, barred: list[int], customers: list[int] | None) -> Any:
        chosen = np.arange(self.train.shape[0]) if customers is None else np.array(customers)
        products, scores = self.model.recommend(
            chosen, self.train[chosen], N=length,
            filter_already_liked_items=new, filter_items=barred or None,
        )  # fmt: skip
        return np.where(scores > -1e30, products, -1)


class RecTools:
    """RecTools around its own copy of implicit's ALS."""

    def __init__(self, train: sparse.csr_matrix, threads: int) -> None:
        import pandas as pd
        from rectools import Columns
        from rectools.dataset import Dataset

        self.columns, self.shape, self.threads = Columns, train.shape, threads
        cells = train.tocoo()
        self.dataset = Dataset.construct(pd.DataFrame({
            Columns.User: cells.row, Columns.Item: cells.col, Columns.Weight: 1.0,
            Columns.Datetime: pd.Timestamp("2020-01-01"),
        }))  # fmt: skip

    def fit(self, **settings: Any) -> None:
        from implicit.als import AlternatingLeastSquares
        from rectools.models import ImplicitALSWrapperModel

        als = AlternatingLeastSquares(num_threads=self.threads, random_state=1, **settings)
        self.model = ImplicitALSWrapperModel(als)
        self.model.fit(self.dataset)

    def lists(self, length: int, new: bool, barred: list[int], customers: list[int] | None) -> Any:
        assert customers is None  # not asked of it
        assert not barred
        known = np.unique(self.dataset.user_id_map.external_ids)
        found = self.model.recommend(users=known, dataset=self.dataset, k=length, filter_viewed=new)
        lists = np.full((self.shape[0], length), -1, np.int64)
        rank = found[self.columns.Rank].to_numpy() - 1
        lists[found[self.columns.User].to_numpy(), rank] = found[self.columns.Item].to_numpy()
        return lists


def main() -> None:
    name, folder, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    train = sparse.csr_matrix(sparse.load_npz(folder / "train.npz"))
    library: Library = {"implicit": Implicit, "rectools": RecTools}[name](train, threads)
    for line in sys.stdin:
        request = json.loads(line)
        call = getattr(library, request.pop("call"))
        seconds, core = time.perf_counter(), time.process_time()
        made = call(**request)
        cost = {"core_s": time.process_time() - core, "wall_s": time.perf_counter() - seconds}
        if made is not None:
            np.save(folder / "lists.npy", made)
        print(json.dumps(cost), flush=True)


if __name__ == "__main__":
    main()
