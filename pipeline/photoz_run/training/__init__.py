"""From labelled galaxies to sealed bundles, and the table that sets bundles side by side."""
