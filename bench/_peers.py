"""Other recommender libraries, each in a virtual environment of its own; none is a dependency.

They are installed when first used, under BENCH_VENVS or the temporary folder, as
../shared/bench/recsys/peers.py does, which shares them.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

THREADS = 2
PACKAGES = {
    "implicit": ["implicit==0.7.3", "numpy==2.4.6", "scipy==1.17.1"],
    "rectools": ["rectools==0.19.0", "numpy==1.26.4", "pandas==2.3.3"],
}
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # as implicit asks for


def python_of(library: str) -> Path | None:
    """The interpreter that has the library; None, and a line that says so, when there is none."""
    usual = Path(tempfile.gettempdir()) / f"bench-venvs-{os.getuid()}"
    root = Path(os.environ.get("BENCH_VENVS") or usual) / library
    python, stamp = root / "bin" / "python", root / "packages.txt"
    wanted = PACKAGES[library]
    if stamp.exists() and stamp.read_text(encoding="utf-8") == "\n".join(wanted):
        return python
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(root)],
        [str(python), "-m", "pip", "install", "--quiet", *wanted],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            print(f"{library} is not installed, its figures are left out: {why}", file=sys.stderr)
            return None
    stamp.write_text("\n".join(wanted), encoding="utf-8")
    return python


class Peer:
    """A library that has been given a matrix, customers x products, and answers calls."""

    def __init__(self, library: str, python: Path, train: sparse.csr_array, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        cells = sparse.csr_matrix(train.astype(np.float32))
        cells.indices, cells.indptr = cells.indices.astype(np.int32), cells.indptr.astype(np.int32)
        sparse.save_npz(folder / "train.npz", cells, compressed=False)
        script = Path(__file__).with_name("_peer.py")
        self.process = subprocess.Popen(
            [python, script, library, folder, str(THREADS)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": "", "PYTHONWARNINGS": "ignore"},
        )  # fmt: skip

    def fit(self, **settings: Any) -> dict[str, float]:
        """Fit; the cost."""
        return self._ask(call="fit", **settings)

    def lists(
        self,
        length: int,
        *,
        new: bool,
        barred: list[int] | None = None,
        customers: list[int] | None = None,
    ) -> tuple[np.ndarray, dict[str, float]]:
        """(customers, length) products, -1 where there is none, and the cost."""
        asked = {"length": length, "new": new, "barred": barred or [], "customers": customers}
        cost = self._ask(call="lists", **asked)
        return np.load(self.folder / "lists.npy"), cost

    def close(self) -> None:
        """Let it go."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def _ask(self, **request: Any) -> dict[str, float]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        for line in self.process.stdout:  # libraries may print lines of their own
            if line.startswith("{"):
                answer: dict[str, float] = json.loads(line)
                return answer
        raise RuntimeError(f"{self.process.args[2]} ended without an answer")
