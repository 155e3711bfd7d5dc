"""Measuring models: ask, grade, compare, draw, report."""
