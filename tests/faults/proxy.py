"""A network that fails on demand: a TCP proxy on loopback that cuts, or goes silent, mid-stream.

with Proxy(server_port) as proxy:
    proxy.fail("silent", after_bytes=100_000, direction="down")
    ...  # connect to 127.0.0.1:proxy.port
    proxy.failed.wait(30)
    proxy.mend()
"""

import ctypes
import platform
import socket
import struct
import threading
from typing import Literal, Self

BLOCK_BYTES = 1 << 14
BUFFER_BYTES = 1 << 16  # more would take in what a stalled server still sends
LOOPBACK = "127.0.0.1"
SO_ATTACH_FILTER = 26
RESET = struct.pack("ii", 1, 0)  # linger for 0 s: close sends RST
Fault = Literal["cut", "stall", "silent"]
Direction = Literal["down", "up"]  # from the server, to it


class Proxy:
    """Forwards every connection to ``target_port``, until a fault is due.

    cut: both ends are reset. stall: no byte passes any more, while the peer's kernel goes on
    answering. silent: not even that, as when the machine in between loses its power (Linux).
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.failed = threading.Event()  # a connection has reached its fault
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._fault: tuple[Fault, int, Direction] | None = None
        self._passed = {"down": 0, "up": 0}
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self._mended = threading.Event()
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._mended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._reset()
        for thread in self._threads:
            thread.join()

    def fail(self, fault: Fault, *, after_bytes: int, direction: Direction = "down") -> None:
        """Do ``fault`` once ``after_bytes`` more have passed in one direction."""
        with self._lock:
            self.failed.clear()
            self._mended.clear()
            self._fault = (fault, self._passed[direction] + after_bytes, direction)

    def mend(self) -> None:
        """Forward again; a connection that was stalled goes on where it was."""
        with self._lock:
            self._fault = None
            self._mended.set()

    def drop(self) -> None:
        """Reset every connection that is open now."""
        self._reset()

    def _run(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            try:
                server = socket.create_connection((LOOPBACK, self.target_port))
                server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            except OSError:  # the server is down: so is its address
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                client.close()
                continue
            self._pairs.append((client, server))
            self._run(self._forward, server, client, "down")
            self._run(self._forward, client, server, "up")

    def _forward(self, giver: socket.socket, taker: socket.socket, direction: Direction) -> None:
        try:
            while block := giver.recv(BLOCK_BYTES):
                allowed = self._allowed(direction, len(block))
                taker.sendall(block[:allowed])
                if allowed < len(block) and not self._do(giver, taker):
                    return
                taker.sendall(block[allowed:])
            taker.shutdown(socket.SHUT_WR)
        except OSError:  # one end is gone; so that the other hears of it
            self._close(giver, taker)

    def _allowed(self, direction: Direction, size: int) -> int:
        """How many of ``size`` bytes still pass."""
        with self._lock:
            allowed = size
            if self._fault and self._fault[0] != "cut" and self.failed.is_set():
                allowed = 0  # nothing passes, in either direction
            elif self._fault and self._fault[2] == direction:
                allowed = max(0, min(size, self._fault[1] - self._passed[direction]))
            self._passed[direction] += size
            return allowed

    def _do(self, giver: socket.socket, taker: socket.socket) -> bool:
        """Do the fault; True when the rest may pass after all, because it was mended."""
        with self._lock:
            fault = self._fault[0] if self._fault else "mended"
            if fault == "silent":
                for end in (giver, taker):
                    deafen(end)
            self.failed.set()
        if fault == "cut":
            self._close(giver, taker)
            return False
        if fault != "mended":
            self._mended.wait()
        return fault != "silent" and not self._ended.is_set()

    def _reset(self) -> None:
        for pair in self._pairs:
            self._close(*pair)

    @staticmethod
    def _close(*ends: socket.socket) -> None:
        for end in ends:
            try:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                end.shutdown(socket.SHUT_RD)  # wakes the thread that reads it
            except OSError:  # it is closed already
                continue
            finally:
                end.close()


def can_be_silent() -> bool:
    """Tell whether a socket here can be made to answer nothing."""
    return platform.system() == "Linux"


def deafen(end: socket.socket) -> None:
    """Let the kernel drop every packet that comes in, unanswered: a filter that accepts none."""
    drop = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # return 0 bytes
    program = struct.pack("HL", 1, ctypes.addressof(drop))
    end.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
