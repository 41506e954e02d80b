"""What a release says of itself is proven by reading all of it again; nothing here writes.

Each product has a module that proves it. They share no code with the writers of the products but
what `release.record`, `release.distributions` and `photoz_run.catalogue` say of names, columns,
cards and sums.
"""
