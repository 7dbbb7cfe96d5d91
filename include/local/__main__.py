"""``python -m include.local <command>``: what the Makefile calls."""

import sys

from include.local.commands import main

sys.exit(main(sys.argv[1:]))
