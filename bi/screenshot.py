"""Take pictures of a running `make bi`, by `python -m bi.screenshot`: all of it, and its top.

They are docs/images/dashboard.png and dashboard-top.png, or in another folder by `--to`. Needs
Chromium or Chrome on the PATH, as docs/screenshots.py does, whose browser this is.
"""

import argparse
import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

from docs import screenshots
from docs.screenshots import Command, ask, wait
from include.local import bi, state

WIDTH, HEIGHT = 1440, 6000  # all of it at once: Superset draws only the charts in sight
TOP = 1160  # pixels: the key figures and the segments
KEEP_ANSWERS = """{
    window.answers = {};
    const asked = window.fetch;
    window.fetch = async (...request) => {
        const response = await asked(...request);
        const url = new URL(response.url);
        if (url.pathname !== '/api/v1/chart/data') return response;
        const slice = JSON.parse(url.searchParams.get('form_data') ?? '{}').slice_id;
        if (slice) window.answers[slice] = await response.clone().json();
        return response;
    };
}"""
DRAWN = """
    document.querySelectorAll('.dashboard-chart').length === %d
    && document.querySelectorAll('.dashboard [data-test=loading-indicator]').length === 0
    && Object.keys(window.answers).length === %d
"""
BOTTOM = """
    Math.ceil(Math.max(...[...document.querySelectorAll('.dashboard-chart')].map(
        chart => chart.getBoundingClientRect().bottom))) + 40
"""
TROUBLES = """
    JSON.stringify([...document.querySelectorAll('.dashboard-component-chart-holder')].flatMap(
        chart => [...chart.querySelectorAll(
            '[role=alert], .ant-alert, .ant-empty, [data-test=error-message]'
        )].map(told => chart.innerText.trim().split('\\n')[0] + ': ' + told.innerText)))
"""


def open_dashboard(command: Command, login: bi.Login, *, charts: int, query: str = "") -> None:
    """Show all of it in the tab, and wait until every chart is drawn.

    ``query`` is added to the address, as ``&native_filters=...``.
    """
    with bi.session(login) as client:
        cookie = client.cookies["session"]
    command("Network.setCookie", name="session", value=cookie, url=login.url)
    command("Page.enable")
    command("Page.addScriptToEvaluateOnNewDocument", source=KEEP_ANSWERS)
    resize(command, HEIGHT)
    address = f"{login.url}/superset/dashboard/portrait/?standalone=1{query}"
    command("Page.navigate", url=address)
    wait(lambda: ask(command, DRAWN % (charts, charts)), "every chart of the dashboard")
    time.sleep(2)  # transitions
    resize(command, int(ask(command, BOTTOM)))
    time.sleep(2)


def answers(command: Command) -> dict[int, list[dict[str, Any]]]:
    """What each chart was answered: its number -> the results of its queries."""
    told = json.loads(ask(command, "JSON.stringify(window.answers)"))
    return {int(number): answer.get("result", []) for number, answer in told.items()}


def troubles(command: Command) -> list[str]:
    """What the charts show in place of a picture: errors, or that there is nothing to show."""
    return json.loads(ask(command, TROUBLES))


def save(command: Command, file: Path, *, height: int = 0) -> None:
    """Write what the tab shows, or only the first ``height`` pixels of it."""
    clip = {"clip": {"x": 0, "y": 0, "width": WIDTH, "height": height, "scale": 1}}
    picture = command("Page.captureScreenshot", format="png", **clip if height else {})["data"]
    file.write_bytes(base64.b64decode(picture))


def resize(command: Command, height: int) -> None:
    command(
        "Emulation.setDeviceMetricsOverride",
        width=WIDTH,
        height=height,
        deviceScaleFactor=1,
        mobile=False,
    )


def main() -> None:
    """Take the pictures; name the charts that show none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=state.ROOT / "docs" / "images")
    folder = parser.parse_args().to
    login = bi.known(state.home())
    if login is None:
        sys.exit("no dashboard is running from here; start it with `make bi`")
    with screenshots.browser() as command:
        open_dashboard(command, login, charts=bi.charts())
        for name, height in (("dashboard.png", 0), ("dashboard-top.png", TOP)):
            save(command, folder / name, height=height)
            print(f"{folder / name} {(folder / name).stat().st_size // 1024} kB")
        if shown := troubles(command):
            sys.exit("\n".join(shown))


if __name__ == "__main__":
    main()
