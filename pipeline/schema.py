"""The column dictionary of the output catalogue: every name, dtype, unit, UCD, null and description stands here once.

Parquet metadata, FITS header cards and the docs page are generated from it. Missing values are null in Parquet; in
FITS they are NaN (floats) or TNULL (integers).
"""

from dataclasses import dataclass

TNULL = -(2**31)
"""The FITS null of int32 columns; no valid MASK or flag has this value."""


@dataclass(frozen=True)
class Column:
    """One column of the output catalogue; ``dtype`` is a numpy type string, ``null`` says whether a row may lack it."""

    name: str
    dtype: str
    unit: str
    ucd: str
    null: bool
    description: str


COLUMNS = (
    Column("ID", "U30", "", "meta.id;meta.main", False, "source identifier of the input catalogue"),
    Column("RAJ2000", "f8", "deg", "pos.eq.ra;meta.main", False, "right ascension (ICRS, J2000)"),
    Column("DECJ2000", "f8", "deg", "pos.eq.dec;meta.main", False, "declination (ICRS, J2000)"),
    Column("KIDS_TILE", "U16", "", "meta.id;obs.field", False, "tile whose pixels were used"),
    Column(
        "MAG_AUTO_CALIB", "f4", "mag", "phot.mag;em.opt.R", True, "total r magnitude: MAG_AUTO + DMAG_R - EXTINCTION_r"
    ),
    Column("Z_PHOT", "f4", "", "src.redshift.phot", True, "photometric redshift, point estimate"),
    Column("Z_PHOT_ERR", "f4", "", "stat.error;src.redshift.phot", True, "half the width of the 68% interval"),
    Column("Z_PHOT_LO68", "f4", "", "src.redshift.phot;stat.min", True, "lower end of the central 68% interval"),
    Column("Z_PHOT_HI68", "f4", "", "src.redshift.phot;stat.max", True, "upper end of the central 68% interval"),
    Column("Z_PHOT_LO95", "f4", "", "src.redshift.phot;stat.min", True, "lower end of the central 95% interval"),
    Column("Z_PHOT_HI95", "f4", "", "src.redshift.phot;stat.max", True, "upper end of the central 95% interval"),
    Column("Z_DOMAIN", "f4", "", "stat.value", True, "distance from the training set: 0 at its centre, > 1 outside"),
    Column("PHOTOZ_FLAG", "i4", "", "meta.code.qual", False, "quality bits of the photo-z, see the table of flags"),
    Column("MASK", "i4", "", "meta.code.qual", True, "mask bits of the input catalogue, as its release defines them"),
)

BY_NAME = {column.name: column for column in COLUMNS}
