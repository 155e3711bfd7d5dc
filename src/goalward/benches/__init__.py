"""Benchmarks of what a method does, each a command: `goalward bench NAME`."""
