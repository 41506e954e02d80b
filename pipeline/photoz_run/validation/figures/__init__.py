"""Figures of the report: each function draws one, from pairs and results, without a display."""
