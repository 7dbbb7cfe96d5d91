"""A real shop from one file in the public UCI "Online Retail" layout, as ``shop`` and ``support``.

Every line of the file lands with its position as ``line_no``. Nothing is invented: what the file
does not say stays null. Its times have no zone; they are British local time. Prices are read as the
shortest decimal that gives the file's number, so they keep every digit.
"""

import logging
import time
from datetime import UTC
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from include.errors import InputError
from include.local.crm import tables
from include.local.crm.tables import Shop

log = logging.getLogger(__name__)

COLUMNS = (
    "InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID",
    "Country",
)  # fmt: skip
TIME_ZONE = "Europe/London"
CURRENCY = "GBP"
PRODUCT_CODE = r"^([0-9]{5}[A-Za-z]{0,2}|DCGS[0-9A-Za-z]+)$"
"""What is goods: five digits with up to two letters, or a code of the DCGS range. The rest is
postage (POST, DOT, C2), manual entries (M, m, D, B, S), fees (AMAZONFEE, BANK CHARGES, CRUK),
cushion pads given along (PADS) and gift vouchers (gift_0001_20)."""
STATUS = {"C": "credited", "A": "adjusted"}  # by the prefix of the invoice; else invoiced
LONG_AGO = "1970-01-01 00:00:00"
TIME_FORMATS = ("ISO8601", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M")


def load(path: Path, shop: Shop, support: Path) -> dict[str, int]:
    """Fill ``shop`` and ``support`` anew with the lines of a file.

    Parameters
    ----------
    path : Parquet or CSV with the columns InvoiceNo, StockCode, Description, Quantity,
        InvoiceDate, UnitPrice, CustomerID and Country.
    shop : the database of the shop; committed at the end.
    support : path of the SQLite file. Each cancelled invoice becomes one ticket there.

    Returns
    -------
    Rows of each table.

    Raises
    ------
    InputError
        If the file is not there, is not of that layout, or has a line without invoice or code.
    """
    started, lines = time.monotonic(), _lines(path)
    tables.create_shop(shop)
    tables.copy_rows(shop, "customers", _customers(lines))
    tables.copy_rows(shop, "products", _products(lines))
    tables.copy_rows(shop, "order_lines", _order_lines(lines))
    _orders(shop)
    with tables.open_support(support) as desk:
        tables.create_support(desk)
        accounts, tickets = _cancellations(lines)
        tables.replace_rows(desk, "accounts", accounts)
        tables.replace_rows(desk, "tickets", tickets)
        counts = tables.finish(shop, desk, f"Loaded from {path.name}, times of {TIME_ZONE}.")
    shop.commit()
    log.info("%s: %d lines in %.1f s", path.name, len(lines), time.monotonic() - started)
    return counts


def _lines(path: Path) -> pd.DataFrame:
    """The file as text and numbers in our own types, with ``line_no`` and UTC times."""
    table = _read(path)
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise InputError(
            f"{path.name}: no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}"
        )
    text = {
        name: _text(table[name]) for name in ("InvoiceNo", "StockCode", "Description", "Country")
    }
    lines = pd.DataFrame({name: column.to_pandas() for name, column in text.items()}, dtype=object)
    lines = lines.where(lines.notna(), None)
    lines["Quantity"] = _text(table["Quantity"]).to_pandas()
    lines["UnitPrice"] = _text(table["UnitPrice"]).to_pandas()
    customer = pd.to_numeric(_text(table["CustomerID"]).to_pandas(), errors="coerce")
    lines["CustomerID"] = customer.astype("Int64")
    lines["at"] = _moments(table["InvoiceDate"].to_pandas(), path)
    lines["line_no"] = np.arange(1, len(lines) + 1)
    keyless = int((lines["InvoiceNo"].isna() | lines["StockCode"].isna()).sum())
    if keyless:
        raise InputError(
            f"{path.name}: {keyless} lines without InvoiceNo or StockCode; complete or remove them"
        )
    return lines


def _read(path: Path) -> pa.Table:
    if not path.is_file():
        raise InputError(f"DATA {path}: no such file; give one in the Online Retail layout")
    try:
        if path.suffix.lower() == ".parquet":
            return pyarrow.parquet.read_table(path)
        return _read_csv(path)
    except pa.ArrowInvalid as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path.name}: neither Parquet nor CSV: {said}; give another file"
        ) from error


def _read_csv(path: Path) -> pa.Table:
    """All columns as text; the published CSV is Latin-1, copies of it are often UTF-8."""
    convert = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(COLUMNS, pa.string()), strings_can_be_null=True
    )
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    try:
        path.read_bytes().decode()
        encoding = "utf8"
    except UnicodeDecodeError:
        encoding = "latin1"
    options = pyarrow.csv.ReadOptions(encoding=encoding)
    return pyarrow.csv.read_csv(
        path, read_options=options, parse_options=parse, convert_options=convert
    )


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """As text: of a float the shortest digits that give it again; NaN is null."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    return column.cast(pa.string())


def _moments(local: pd.Series, path: Path) -> pd.Series:
    """British local time as UTC: the earlier of two where clocks go back, the next that exists."""
    if not pd.api.types.is_datetime64_any_dtype(local):
        local = _parsed(local, path)
    if local.dt.tz is None:
        first = np.ones(len(local), dtype=bool)
        local = local.dt.tz_localize(TIME_ZONE, ambiguous=first, nonexistent="shift_forward")
    return local.dt.tz_convert("UTC").dt.as_unit("us")


def _parsed(text: pd.Series, path: Path) -> pd.Series:
    for form in TIME_FORMATS:
        try:
            return pd.to_datetime(text, format=form)
        except ValueError:
            continue
    example = text.dropna().iloc[0]
    raise InputError(
        f"{path.name}: InvoiceDate {str(example)[:40]!r} cannot be read; write 2011-12-31 23:59"
    )


def _latest(lines: pd.DataFrame) -> pd.DataFrame:
    return lines.sort_values(["at", "line_no"], kind="stable", na_position="first")


def _stamps(moments: pd.Series) -> pa.Array:
    return pa.array(moments, pa.timestamp("us", "UTC"), from_pandas=True)


def _changed(moments: pd.Series) -> pa.Array:
    """The changed-at of rows: when the file last speaks of them, or its beginning."""
    return _stamps(moments.fillna(pd.Timestamp(0, tz=UTC)))


def _customers(lines: pd.DataFrame) -> pa.Table:
    known = _latest(lines[lines["CustomerID"].notna()])
    last = known.drop_duplicates("CustomerID", keep="last").sort_values("CustomerID")
    number = pa.array(last["CustomerID"].to_numpy(np.int64))
    return pa.table({
        "id": number,
        "member_no": number.cast(pa.string()),
        "country": pa.array(last["Country"], pa.string()),
        "deleted": np.zeros(len(last), dtype=bool),
        "updated_at": _changed(last["at"]),
    })  # fmt: skip


def _products(lines: pd.DataFrame) -> pa.Table:
    """One row a code as written, named by its most frequent description."""
    described = pd.DataFrame({
        "code": lines["StockCode"],
        "name": lines["Description"].str.strip().replace("", None),
    })  # fmt: skip
    counts = described.dropna().value_counts().reset_index()
    counts = counts.sort_values(["code", "count", "name"], ascending=[True, False, True])
    names = counts.drop_duplicates("code").set_index("code")["name"]
    codes = pd.Series(sorted(lines["StockCode"].unique()), dtype=object)
    return pa.table({
        "code": pa.array(codes, pa.string()),
        "name": pa.array(codes.map(names).fillna(codes), pa.string()),
        "is_product": pa.array(codes.str.match(PRODUCT_CODE).astype(bool)),
    })  # fmt: skip


def _order_lines(lines: pd.DataFrame) -> pa.Table:
    return pa.table({
        "order_no": pa.array(lines["InvoiceNo"], pa.string()),
        "line_no": lines["line_no"].to_numpy(),
        "customer_id": pa.array(lines["CustomerID"], pa.int64(), from_pandas=True),
        "product_code": pa.array(lines["StockCode"], pa.string()),
        "ordered_at": _stamps(lines["at"]),
        "quantity": pa.array(lines["Quantity"], pa.string(), from_pandas=True),
        "unit_price": pa.array(lines["UnitPrice"], pa.string(), from_pandas=True),
        "deleted": np.zeros(len(lines), dtype=bool),
        "updated_at": _changed(lines["at"]),
    })  # fmt: skip


def _orders(shop: Shop) -> None:
    """One row an invoice, from its lines: in SQL, where sums are exact."""
    cases = " ".join(f"WHEN '{prefix}' THEN '{status}'" for prefix, status in STATUS.items())
    query = f"""INSERT INTO orders
        (order_no, customer_id, ordered_at, status, currency, total, updated_at)
        SELECT order_no, max(customer_id), min(ordered_at),
               CASE left(order_no, 1) {cases} ELSE 'invoiced' END, '{CURRENCY}',
               sum(quantity * unit_price), max(updated_at)
        FROM order_lines GROUP BY order_no ORDER BY order_no"""
    shop.execute(query)


def _cancellations(
    lines: pd.DataFrame,
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """(accounts, tickets): one ticket a cancelled invoice, one account a customer of those."""
    cancelled = lines[lines["InvoiceNo"].str.startswith("C")]
    invoices = cancelled.groupby("InvoiceNo").agg(at=("at", "min"), customer=("CustomerID", "max"))
    invoices["text"] = invoices["at"].dt.strftime("%Y-%m-%d %H:%M:%S")
    invoices["text"] = invoices["text"].where(invoices["at"].notna(), None)
    owners = invoices.dropna(subset="customer").groupby("customer")["text"].max()
    accounts: list[dict[str, object]] = [
        {
            "account_no": str(owner),
            "member_no": str(owner),
            "changed": changed or LONG_AGO,
        }
        for owner, changed in owners.items()
    ]
    tickets: list[dict[str, object]] = [
        {
            "ticket_no": invoice,
            "account_no": None if pd.isna(customer) else str(customer),
            "topic": "cancellation",
            "opened": opened,
            "changed": opened or LONG_AGO,
        }
        for invoice, customer, opened in zip(
            invoices.index, invoices["customer"], invoices["text"], strict=True
        )
    ]
    return accounts, tickets
