"""What a model demands of stamps and of the table beside them: one record, wherever it is needed.

Axes: N sources, C image bands, B magnitude bands, S bands of seeing, T columns of the table.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAGNITUDE_BANDS = ("u", "g", "r", "i", "Z", "Y", "J", "H", "Ks")
IMAGE_BANDS = ("u", "g", "r", "i")

Centring = Literal["ceil(x - size/2)", "floor(x - size/2)"]

LARGEST_STAMP = 256
"""Pixels on a side. A batch of larger ones in four bands would fill more than 270 MB."""


class StampRule(BaseModel):
    """How stamps are cut and calibrated, and which columns the table beside them has.

    Attributes
    ----------
    image_bands
        Order of the channels C. Without any, a model has no ``stamps`` input.
    i_epoch
        Which i coadd is wanted where there are two (DR5).
    magnitude_bands
        The first B columns of the table (AB magnitudes).
    seeing_bands
        Image bands whose seeing stands in the S columns after the magnitudes: FWHM of the
        tile's coadd in arcsec, NaN where unknown.
    stamp_size
        Pixels on a side, even.
    pixel_scale
        Arcsec.
    centring
        First pixel of the stamp around a source at the 0-based pixel x. Nearly always ``floor``
        starts one pixel lower; so cut programs that truncate, Cutana 0.4.0 among them.
    dmag_applied, extinction_corrected
        Whether pixels are multiplied by 10^(-0.4 DMAG) and by 10^(0.4 A_x).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    image_bands: tuple[str, ...]
    i_epoch: Literal["first", "second", "better", "mean"] = "first"
    magnitude_bands: tuple[str, ...]
    seeing_bands: tuple[str, ...] = ()
    stamp_size: Annotated[int, Field(gt=0, le=LARGEST_STAMP, multiple_of=2)]
    pixel_scale: Annotated[float, Field(gt=0)]
    centring: Centring = "ceil(x - size/2)"
    dmag_applied: bool
    extinction_corrected: bool

    @model_validator(mode="after")
    def _bands_fit(self) -> Self:
        for bands in (self.image_bands, self.magnitude_bands, self.seeing_bands):
            if len(set(bands)) != len(bands):
                raise ValueError("a band is named twice")
        strange = set(self.seeing_bands) - set(self.image_bands)
        if strange:
            raise ValueError(f"seeing_bands: {', '.join(sorted(strange))} is no image band")
        return self

    def stamp_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one stamp."""
        return len(self.image_bands), self.stamp_size, self.stamp_size

    @property
    def table_columns(self) -> tuple[str, ...]:
        """Names of the T = B + S columns of the table, in order."""
        return column_names(self.magnitude_bands, self.seeing_bands)

    def seeing_columns(self, band: str) -> list[int]:
        """The column of the table with the seeing in a band; none if the table has none."""
        first = len(self.magnitude_bands)
        return [first + s for s, name in enumerate(self.seeing_bands) if name == band]

    def cut_otherwise(self, other: "StampRule") -> list[tuple[str, object, object]]:
        """Fields in which two rules cut and calibrate stamps, or choose i, otherwise.

        Returns
        -------
        list of (str, object, object)
            Name of the field, value of this rule, value of the other.
        """
        names: tuple[str, ...] = ()
        if self.image_bands:
            names = ("pixel_scale", "centring", "dmag_applied", "extinction_corrected")
        if "i" in (*self.image_bands, *self.magnitude_bands):
            names = (*names, "i_epoch")
        both = ((name, getattr(self, name), getattr(other, name)) for name in names)
        return [(name, ours, theirs) for name, ours, theirs in both if ours != theirs]

    def narrowed(self, image_bands: tuple[str, ...], columns: tuple[str, ...]) -> Self:
        """The rule with only these image bands and, of its table, only these columns.

        Columns that are not of this rule are passed over.
        """
        seeing_of = dict(zip(column_names((), self.seeing_bands), self.seeing_bands, strict=True))
        return self.model_copy(
            update={
                "image_bands": image_bands,
                "magnitude_bands": tuple(name for name in columns if name in self.magnitude_bands),
                "seeing_bands": tuple(seeing_of[name] for name in columns if name in seeing_of),
            }
        )


def column_names(
    magnitude_bands: tuple[str, ...], seeing_bands: tuple[str, ...]
) -> tuple[str, ...]:
    """Names of a table's columns: magnitudes have that of their band, seeing ``seeing_<band>``."""
    return (*magnitude_bands, *(f"seeing_{band}" for band in seeing_bands))
