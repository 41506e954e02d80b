"""A run becomes a release: one catalogue of unique sources, with the proof of how it was made."""
