"""Benchmarks: they start what they measure, print and write figures, and never assert on time."""
