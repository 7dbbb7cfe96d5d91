"""Our own Airflow is told from another one that answers on the same port."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from include.local import airflow
from include.local.rest import Client


class Other(BaseHTTPRequestHandler):
    """Another checkout's Airflow: in the best of health, and our password is not its own."""

    def do_GET(self) -> None:
        alive = {"status": "healthy"}
        late = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        self.answer(200, {p: {**alive, f"latest_{p}_heartbeat": late} for p in airflow.HEARTBEATS})

    def do_POST(self) -> None:
        self.answer(401, {"detail": "Invalid credentials"})

    def answer(self, status: int, body: dict) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def other() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_another_airflow_on_our_port_is_not_taken_for_ours(other):
    client = Client(other, "admin", "our own password")
    assert airflow._missing(client, datetime.now(UTC)) == ["api-server"]
