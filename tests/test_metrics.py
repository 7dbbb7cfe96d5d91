"""What is wrong in metrics.yaml is said in one line."""

import pytest

from include import metrics
from include.errors import ConfigError

WRITTEN = """- name: customers
  label: Customers
  unit: customers
  owner: marketing
  description: Customers with a profile.
  sql: SELECT count(*) AS value FROM bi.dim_customer
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  unit: customers\n", "", "customers.unit: Field required; mend the file"),
        ("name: customers", "name: Our customers", "Our customers.name: String should match"),
        (WRITTEN, WRITTEN * 2, "customers: stands there twice; give one another name"),
    ],
)
def test_a_metric_that_cannot_be_used_is_named(tmp_path, old, new, said):
    file = tmp_path / "metrics.yaml"
    file.write_text(WRITTEN.replace(old, new))
    with pytest.raises(ConfigError) as refused:
        metrics.load(file)
    assert str(refused.value).startswith(f"metrics.yaml: {said}")
