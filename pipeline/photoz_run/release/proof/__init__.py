"""What a release says of itself is proven by reading all of it again; nothing here writes.

Each product has a module that proves it and imports no writer. What writers and proofs share lies
below both: `record`, `distributions`, `coverage`, `sky` and `rows` of the release, and
`photoz_run.catalogue`.
"""
