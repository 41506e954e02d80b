"""Everything KiDS: file names, bands, columns, MASK bits; the only reader of survey files."""

from astropy.utils import iers

# Nothing is fetched unasked: compute nodes have no network, and two tiles of one run must not use
# two versions of a table.
iers.conf.auto_download = False
iers.conf.auto_max_age = None
