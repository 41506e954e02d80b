"""Two catalogues side by side, paired by ID: what changed, for whom, and whether it matters."""
