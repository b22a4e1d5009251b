"""Benchmarks: what design budgets say, measured. `make bench` runs them all and writes bench-results.json."""
