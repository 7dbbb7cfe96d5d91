"""A small client of Airflow's REST API."""

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from include.errors import PortraitError, ResourceError


class NotAnswering(ResourceError):
    """Nothing answers at the address, or not in time."""


class Refused(PortraitError):
    """The API answers with an error; ``status`` is its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Client:
    """Calls the API at ``url`` as ``user``; logs in at the first call and when a token runs out."""

    url: str
    user: str
    password: str = field(repr=False)
    token: str = field(default="", repr=False)

    def get(self, path: str, *, login: bool = True, **query: Any) -> dict[str, Any]:
        """Return the JSON at ``path``, which starts with "/api/v2/"."""
        if query:
            path = f"{path}?{urllib.parse.urlencode(query, doseq=True)}"
        return self._call("GET", path, None, login=login)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send ``body`` as JSON and return the answer."""
        return self._call("POST", path, body)

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Change what ``body`` names and return the answer."""
        return self._call("PATCH", path, body)

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None, *, login: bool = True
    ) -> dict[str, Any]:
        if login and not self.token:
            self._log_in()
        try:
            return self._send(method, path, body)
        except Refused as error:
            if error.status != 401 or not login:
                raise
        self._log_in()
        return self._send(method, path, body)

    def _log_in(self) -> None:
        self.token = ""
        answer = self._send(
            "POST", "/auth/token", {"username": self.user, "password": self.password}
        )
        self.token = answer["access_token"]

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is this machine
        try:
            with direct.open(request, timeout=30) as response:
                answer: dict[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            said = " ".join(error.read().decode(errors="replace").split())[:300]
            raise Refused(error.code, f"Airflow: {method} {path}: {error.code} {said}") from error
        except (OSError, json.JSONDecodeError) as error:
            raise NotAnswering(f"Airflow: {self.url} does not answer: {error}") from error
        return answer
