"""The network of magnitudes beside other methods on public tables: docs/real-tables.md."""
