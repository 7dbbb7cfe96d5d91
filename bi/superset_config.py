"""Superset for one machine: what `make bi` needs to differ from Superset's own settings.

Its folder, its secret key and the address it listens on come from the environment.
"""

import copy

from superset.config import TALISMAN_CONFIG as SHIPPED

# A browser here asks nobody outside: not for the counting pixel that Superset's pages carry
# (static.scarf.sh), not for fonts or maps.
TALISMAN_CONFIG = copy.deepcopy(SHIPPED)
TALISMAN_CONFIG["content_security_policy"] |= {
    "img-src": ["'self'", "blob:", "data:"],
    "connect-src": ["'self'"],
    "style-src": ["'self'", "'unsafe-inline'"],
    "font-src": ["'self'"],
}

SUPERSET_WEBSERVER_TIMEOUT = 60
SQLLAB_TIMEOUT = 30

# Okabe and Ito (2008): told apart with any kind of colour vision.
EXTRA_CATEGORICAL_COLOR_SCHEMES = [
    {
        "id": "okabeIto",
        "label": "Okabe-Ito, colour-blind safe",
        "description": "",
        "isDefault": True,
        "colors": [
            "#0072B2",
            "#E69F00",
            "#009E73",
            "#CC79A7",
            "#56B4E9",
            "#D55E00",
            "#F0E442",
            "#999999",
            "#000000",
        ],
    }
]
