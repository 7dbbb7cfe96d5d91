"""What each customer is expected to buy in 90 and 365 days, within which range, and whether alive.

Three methods foresee a past day's next 90 days: the own past rate (``historic``), BG/NBD with
Gamma-Gamma (``purchases``, ``spend``, ``foreseen``) and gradient boosting over it (``boosted``).
Training finds which is nearest (``contest``), a publish foresees by it (``publish``).
"""

from include.models.value.publish import compute, train

__all__ = ["compute", "train"]
