"""The products of a release, each with its writer and its judge: the one place that lists them.

A further product is a module ``products/NAME.py`` that writes it, a module ``proof/NAME.py`` that
proves it, and a line here.
"""

from dataclasses import dataclass

from photoz_run.errors import ConfigError
from photoz_run.release.draft import Writer
from photoz_run.release.options import ReleaseOptions
from photoz_run.release.products import area, changes, fits, hats, parquet, pdf
from photoz_run.release.proof.area import AreaJudge
from photoz_run.release.proof.changes import ChangesJudge
from photoz_run.release.proof.fits import FitsJudge
from photoz_run.release.proof.hats import HatsJudge
from photoz_run.release.proof.judge import Judge
from photoz_run.release.proof.parquet import ParquetJudge
from photoz_run.release.proof.pdf import PdfJudge


@dataclass(frozen=True)
class Product:
    """A product: what writes it, and what proves it."""

    writer: Writer
    judge: type[Judge]


PRODUCTS = (
    Product(parquet.WRITER, ParquetJudge),
    Product(fits.WRITER, FitsJudge),
    Product(hats.WRITER, HatsJudge),
    Product(pdf.WRITER, PdfJudge),
    Product(area.WRITER, AreaJudge),
    Product(changes.WRITER, ChangesJudge),
)
"""In the order in which they are written: the others are made from Parquet."""
FORMATS = tuple(product.writer.format for product in PRODUCTS if product.writer.format)
"""The names that ``--formats`` takes."""


def chosen(options: ReleaseOptions) -> list[Writer]:
    """The writers of the products that a release with these options has, in order.

    Raises
    ------
    ConfigError
        If a format is not known.
    """
    for name in options.formats:
        if name not in FORMATS:
            raise ConfigError(f"--formats {name}: not known; the formats are {', '.join(FORMATS)}")
    writers = [product.writer for product in PRODUCTS]
    return [writer for writer in writers if writer.is_wanted(options)]
