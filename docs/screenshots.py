"""Take the README's pictures of a running `make demo`: docs/images/page.png and assets.png.

Needs Chromium or Chrome on the PATH, nothing else: the browser is driven over its DevTools
protocol. `python docs/screenshots.py`; `--dark` for the dark theme, `--to` for another folder.
"""

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import connect

ROOT = Path(__file__).parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
]
WIDTH, PATIENCE_SECONDS = 1440, 60
PAGE_READY = "document.querySelector('iframe')?.contentDocument?.querySelector('main') != null"
PAGE_HEIGHT = "Math.min(1530, document.querySelector('iframe').contentDocument.body.scrollHeight)"
GRAPH_READY = "document.querySelectorAll('.react-flow__node').length > 1"
GRAPH_ONLY = """document.head.insertAdjacentHTML('beforeend', `<style>
    [data-panel] ~ [data-panel], .resize-handle, .react-flow__minimap { display: none }
</style>`); '400'"""
GRAPH_FITS = "document.querySelector('.react-flow__controls-fitview')?.click()"

Command = Callable[..., dict[str, Any]]


@contextmanager
def browser() -> Iterator[Command]:
    """A headless browser with one tab; call the value with a DevTools method and its arguments."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        sys.exit(f"none of {', '.join(BROWSERS)} is on the PATH; install one and run again")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *QUIET, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            port_file = Path(profile) / "DevToolsActivePort"
            wait(lambda: port_file.exists() and port_file.read_text().count("\n"), "the browser")
            port = port_file.read_text().split()[0]
            tabs = httpx.get(f"http://127.0.0.1:{port}/json/list").json()
            tab = next(tab for tab in tabs if tab["type"] == "page")
            with connect(tab["webSocketDebuggerUrl"], max_size=None) as socket:
                yield lambda method, **arguments: call(socket, method, arguments)
        finally:
            process.terminate()
            process.wait()


def call(socket: Any, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """One DevTools command and its answer; events in between are dropped."""
    socket.send(json.dumps({"id": 1, "method": method, "params": arguments}))
    while (message := json.loads(socket.recv(timeout=PATIENCE_SECONDS))).get("id") != 1:
        pass
    if "error" in message:
        sys.exit(f"{method}: {message['error']['message']}")
    return message["result"]


def wait(ready: Callable[[], Any], what: str) -> None:
    """Until ``ready()`` is true; give up after a minute."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not ready():
        if time.monotonic() > end:
            sys.exit(f"{what}: not there after {PATIENCE_SECONDS} seconds; look at it by hand")
        time.sleep(0.2)


def ask(command: Command, expression: str) -> Any:
    """The value of a JavaScript expression in the tab."""
    answer = command("Runtime.evaluate", expression=expression, returnByValue=True)
    return answer["result"].get("value")


def take(command: Command, url: str, file: Path, *, ready: str, height: str = "900") -> None:
    """Open ``url``, wait until ``ready`` holds, and save the window.

    ``height`` is JavaScript that gives its height in pixels; it may change the page before.
    """
    resize(command, 900)
    command("Page.navigate", url=url)
    wait(lambda: ask(command, ready), url)
    time.sleep(1)  # transitions
    resize(command, int(ask(command, height)))
    time.sleep(1)
    ask(command, GRAPH_FITS)
    time.sleep(1)
    picture = command("Page.captureScreenshot", format="png")["data"]
    file.write_bytes(base64.b64decode(picture))
    print(f"{file} {file.stat().st_size // 1024} kB")


def resize(command: Command, height: int) -> None:
    command(
        "Emulation.setDeviceMetricsOverride",
        width=WIDTH,
        height=height,
        deviceScaleFactor=1,
        mobile=False,
    )


def main() -> None:
    """Sign in as the demo's user and take both pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--dark", action="store_true")
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    home = Path(os.environ.get("PORTRAIT_HOME", ROOT / "var"))
    if not (home / "run" / "ui.json").exists():
        sys.exit(f"no {home / 'run' / 'ui.json'}: no demo is running; start one with `make demo`")
    ui = json.loads((home / "run" / "ui.json").read_text())
    url = ui["url"].rstrip("/")
    login = {"username": ui["user"], "password": ui["password"]}
    token = httpx.post(f"{url}/auth/token", json=login).raise_for_status().json()["access_token"]
    with browser() as command:
        command("Network.setCookie", name="_token", value=token, url=url)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if options.dark else "light"}
        command("Emulation.setEmulatedMedia", features=[scheme])
        page, graph = options.to / "page.png", options.to / "assets.png"
        take(command, f"{url}/plugin/portrait", page, ready=PAGE_READY, height=PAGE_HEIGHT)
        assets = f"{url}/assets/{central(url, token)}"
        take(command, assets, graph, ready=GRAPH_READY, height=GRAPH_ONLY)


def central(url: str, token: str) -> int:
    """The asset that the most DAGs make or wait for: its page shows the whole graph."""
    answer = httpx.get(
        f"{url}/api/v2/assets?limit=100", headers={"Authorization": f"Bearer {token}"}
    )
    assets = answer.raise_for_status().json()["assets"]
    if not assets:
        sys.exit("Airflow knows no asset yet; wait until the DAGs are read")
    ties = {a["id"]: len(a["scheduled_dags"]) + len(a["producing_tasks"]) for a in assets}
    return max(ties, key=lambda asset: ties[asset])


if __name__ == "__main__":
    main()
