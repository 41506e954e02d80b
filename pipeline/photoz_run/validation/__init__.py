"""Validation: spec-z match, metrics, gates, plots, report."""
