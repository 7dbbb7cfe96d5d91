"""The columns of a snapshot's Parquet files, one file an entity: the single truth for all who
write or read them.

Times (``*_at``) have no zone: they are in the business time zone, and ``*_on`` (day) and ``*_hour``
(0 to 23) are derived from them. Money and quantities are decimals, exact. No personal data.
"""

import pyarrow as pa

WHOLE, TEXT, FLAG, DAY = pa.int64(), pa.string(), pa.bool_(), pa.date32()
SMALL, TIME, MONEY = pa.int32(), pa.timestamp("us"), pa.decimal128(18, 6)

SCHEMA: dict[str, pa.Schema] = {
    "customer": pa.schema([  # one row a source record: several may share a customer_id
        ("customer_id", WHOLE),
        ("source", TEXT),
        ("source_id", TEXT),
        ("signup_on", DAY),
        ("birth_year", SMALL),
        ("gender", TEXT),
        ("is_company", FLAG),
        ("city", TEXT),
        ("region", TEXT),
        ("country", TEXT),
        ("language", TEXT),
        ("is_staff", FLAG),  # never null
        ("is_test", FLAG),  # never null
    ]),
    "product": pa.schema([
        ("product_id", TEXT),
        ("source", TEXT),
        ("name", TEXT),
        ("description", TEXT),
        ("category", TEXT),
        ("subcategory", TEXT),
        ("brand", TEXT),
        ("supplier", TEXT),
        ("price", MONEY),
        ("cost", MONEY),
        ("currency", TEXT),
        ("in_stock", FLAG),  # never null
        ("is_product", FLAG),  # never null
        ("age_restricted", FLAG),
        ("available_on", DAY),
        ("discontinued_on", DAY),
    ]),
    "customer_order": pa.schema([
        ("order_id", TEXT),
        ("customer_id", WHOLE),
        ("ordered_at", TIME),
        ("ordered_on", DAY),
        ("ordered_hour", SMALL),
        ("status", TEXT),
        ("channel", TEXT),
        ("currency", TEXT),
        ("total", MONEY),
        ("discount", MONEY),
        ("is_left_out", FLAG),  # never null; in a state of the domain's test_order_statuses
    ]),
    "order_line": pa.schema([
        ("order_id", TEXT),
        ("customer_id", WHOLE),
        ("product_id", TEXT),
        ("is_product", FLAG),  # never null
        ("line_no", WHOLE),
        ("ordered_at", TIME),
        ("ordered_on", DAY),
        ("ordered_hour", SMALL),
        ("quantity", MONEY),  # negative: a return
        ("unit_price", MONEY),
        ("discount", MONEY),
        ("amount", MONEY),  # quantity * unit_price - discount
    ]),
    "interaction": pa.schema([
        ("customer_id", WHOLE),
        ("happened_at", TIME),
        ("happened_on", DAY),
        ("happened_hour", SMALL),
        ("kind", TEXT),  # visit, view, cart, mail_sent, mail_open, mail_click, campaign_answer
        ("channel", TEXT),
        ("product_id", TEXT),
        ("campaign", TEXT),
        ("amount", MONEY),
    ]),
    "ticket": pa.schema([
        ("ticket_id", TEXT),
        ("customer_id", WHOLE),
        ("opened_at", TIME),
        ("opened_on", DAY),
        ("first_answer_at", TIME),
        ("closed_at", TIME),
        ("closed_on", DAY),
        ("reopened", SMALL),  # how often
        ("kind", TEXT),
        ("priority", TEXT),
        ("status", TEXT),
        ("product_id", TEXT),
    ]),
    "feedback": pa.schema([
        ("feedback_id", TEXT),
        ("customer_id", WHOLE),
        ("product_id", TEXT),
        ("given_at", TIME),
        ("given_on", DAY),
        ("rating", pa.float64()),  # 0 to 5
        ("channel", TEXT),
    ]),
    "consent": pa.schema([
        ("customer_id", WHOLE),
        ("purpose", TEXT),  # marketing, personalisation
        ("granted", FLAG),
        ("given_at", TIME),
        ("given_on", DAY),
    ]),
}  # fmt: skip
