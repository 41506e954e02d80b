"""The products of a release: one module writes each of them."""
