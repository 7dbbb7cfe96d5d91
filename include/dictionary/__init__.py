"""What tables and columns mean and come from: ``docs/tables.md``, and the pages of `make docs`."""
