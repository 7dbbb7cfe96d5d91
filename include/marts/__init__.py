"""The published tables: a mart is ``<table>.sql`` beside this file, or a work file of that name."""

from pathlib import Path

HERE = Path(__file__).parent

MARTS = [
    "customer_profile",
    "profile_coverage",
    "customer_segment",
    "segment",
    "segment_feature",
    "segment_map",
    "rule_segment",
    "rule_segment_member",
    "segment_migration",
    "customer_score",
    "customer_value",
    "recommendation",
    "product_similarity",
    "bundle",
    "product_audience",
    "dim_customer",
    "dim_product",
    "cohort_retention",
    "rfm_grid",
    "recommended_product",
    "lift",
]
"""In the order in which they are filled; each has a contract ``contracts/mart/<table>.yaml``."""

IN_DATABASE = ["audience", "audience_member"]
"""Filled by PostgreSQL from the views of BI, once those of ``MARTS`` are attached."""
