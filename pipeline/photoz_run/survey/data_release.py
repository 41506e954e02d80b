"""What differs between releases of KiDS: epochs of i, names of columns, MASK bits."""

from dataclasses import dataclass

from photoz_models.stamp_rule import MAGNITUDE_BANDS
from photoz_run.errors import ConfigError

I_EPOCH_IMAGES = {"first": ("i",), "second": ("i2",), "better": ("i", "i2"), "mean": ("i", "i2")}
"""Which images each policy for i wants: ``better`` takes one of two, ``mean`` averages them."""


@dataclass(frozen=True)
class DataRelease:
    """One family of KiDS releases (DR4 includes the re-issued DR4.1)."""

    family: str
    band_list: str
    image_bands: tuple[str, ...]
    magnitude_suffixes: tuple[str, ...]
    mask_bits: tuple[str, ...]
    bright_excluded: tuple[str, ...]

    def magnitude_suffix(self, band: str, epoch: str) -> str:
        """The suffix of the GAaP columns of ``band``.

        In DR5 i has two, i1 and i2, chosen by ``epoch`` (i or i2).
        """
        if band != "i" or self.family == "DR4":
            return band
        return {"i": "i1", "i2": "i2"}[epoch]

    def mask_value(self) -> int:
        """The MASK bits that make a source ``masked`` in the bright sample (28668 in DR4)."""
        return sum(1 << k for k, name in enumerate(self.mask_bits) if name in self.bright_excluded)


_VISTA = ("Z", "Y", "J", "H", "Ks")
_BRIGHT_EXCLUDED = (
    "halo bright",
    "manual",
    "void",
    *(f"{band} data" for band in _VISTA),
    "u data",
    "g data",
    "i data",
    "i1 data",
    "i2 data",
    "outside the tile",
)

DR4 = DataRelease(
    family="DR4",
    band_list="ugriZYJHKs",
    image_bands=("u", "g", "r", "i"),
    magnitude_suffixes=MAGNITUDE_BANDS,
    mask_bits=(
        "manual conservative",
        "halo faint",
        "halo bright",
        "manual",
        "void",
        *(f"{band} data" for band in _VISTA),
        "u data",
        "g data",
        "r data",
        "i data",
        "outside the tile",
    ),
    bright_excluded=_BRIGHT_EXCLUDED,
)
DR5 = DataRelease(
    family="DR5",
    band_list="ugri1i2ZYJHKs",
    image_bands=("u", "g", "r", "i", "i2"),
    magnitude_suffixes=("u", "g", "r", "i1", "i2", *_VISTA),
    mask_bits=(
        "halo conservative",
        "halo bright",
        "manual",
        "void",
        "u data",
        "g data",
        "r data",
        "i1 data",
        "i2 data",
        *(f"{band} data" for band in _VISTA),
        "outside the tile",
    ),
    bright_excluded=_BRIGHT_EXCLUDED,
)


def find_data_release(data_release: str) -> DataRelease:
    """The facts of ``data_release`` (``DR4``, ``DR4.1``, ``DR5.0`` ...).

    Raises
    ------
    ConfigError
        If this data release is not known.
    """
    for facts in (DR4, DR5):
        if data_release == facts.family or data_release.startswith(f"{facts.family}."):
            return facts
    raise ConfigError(
        f"data release {data_release!r} is not known; known are DR4, DR4.0, DR4.1, DR5 and DR5.0"
    )
