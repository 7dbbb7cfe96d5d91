"""The Portrait page (客户画像) in the side bar of Airflow's UI, and alone at /portrait/

Every process of Airflow loads this file, tasks too: what the page needs is imported by its first
request. ``.airflowignore`` keeps Airflow from loading the folder beside it as plugins.
"""

from functools import cache
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

ICON = (  # a head and shoulders
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' "
    "fill='none' stroke='%235b9bd5' stroke-width='2' stroke-linecap='round'%3E"
    "%3Ccircle cx='12' cy='8' r='4'/%3E%3Cpath d='M4 20c1-4 4-6 8-6s7 2 8 6'/%3E%3C/svg%3E"
)


@cache
def page():
    from plugins.portrait.page import build

    return build()


async def app(scope, receive, send) -> None:
    """The ASGI application, made by its first request."""
    await page()(scope, receive, send)


class Portrait(AirflowPlugin):
    name = "portrait"
    fastapi_apps: ClassVar[list[dict[str, Any]]] = [
        {"app": app, "url_prefix": "/portrait", "name": "Portrait"}
    ]
    external_views: ClassVar[list[dict[str, Any]]] = [
        {
            "name": "Portrait",
            "icon": ICON,
            "href": "portrait/",  # relative, so that it also holds under a base path
            "destination": "nav",
            "url_route": "portrait",
            "nav_top_level": True,
        }
    ]
