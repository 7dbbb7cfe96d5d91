"""A real shop's file, landed by the same code as any source: nothing of it is lost or rounded."""

import os
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from unittest import mock

import psycopg
import pyarrow.parquet as pq
import pytest

from include import identity, landing, snapshot, sources
from include.local import retail_file
from include.profile import frame
from tests.flow.command import clean_environment

LINES, CANCELLED_LINES, REVENUE = 541_909, 6_031, Decimal("6013039.542")
ENTITIES = {
    "shop": {
        "customer": "customers",
        "product": "products",
        "customer_order": "orders",
        "order_line": "order_lines",
    },
    "support": {"customer": "accounts", "ticket": "tickets"},
}


@pytest.fixture(scope="module")
def real_shop(shared_data, postgres_url, deployed_template, tmp_path_factory):
    """The warehouse with everything of the file landed, and the rows that the CRM held."""


def test_what_landed_and_what_was_set_aside_is_the_whole_file():
    pass
