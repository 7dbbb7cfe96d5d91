"""Lines for COPY from databases that escape slowly: their SQL joins the columns with marks that
no value holds, and whole blocks of lines are escaped at once.
"""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from include import copying

ESCAPES = ((b"\\", b"\\\\"), (b"\t", b"\\t"), (b"\n", b"\\n"), (b"\r", b"\\r"))


@dataclass(frozen=True)
class Marks:
    """What stands between two columns, for a null, and after a line; ASCII without quotes."""

    column: str
    null: str
    end: str

    @classmethod
    def drawn(cls) -> Self:
        """New ones: as with the boundaries of MIME, chance keeps them out of the values."""
        drawn = secrets.token_urlsafe(6)  # longer ones, and ones that begin alike, cost time
        return cls(f"\x1c{drawn}", f"\x1d{drawn}", f"\x1e{drawn}")

    def escaped(self, lines: bytes) -> bytes:
        """Whole lines with marks as lines of COPY's text format."""
        for raw, code in ESCAPES:
            lines = lines.replace(raw, code)
        for mark, code in ((self.column, b"\t"), (self.null, b"\\N"), (self.end, b"\n")):
            lines = lines.replace(mark.encode(), code)
        return lines


def blocks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines joined into blocks of some 64 KB; a longer line is a block of its own."""
    block: list[bytes] = []
    size = 0
    for line in lines:
        block.append(line)
        size += len(line)
        if size >= copying.BLOCK_BYTES:
            yield b"".join(block)
            block.clear()
            size = 0
    yield b"".join(block)
