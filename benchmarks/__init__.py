"""How fast it is, and against whom: one module a benchmark, found by its name (see harness.py)."""
