"""The one constant of robust scatter, shared by networks, survey and statistics."""

SMAD_FACTOR = 1.4826
"""Makes the median absolute deviation of a Gaussian its standard deviation."""
