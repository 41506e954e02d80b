"""The coordinate system by what a FITS file says beside a table: cards, astropy's YAML, VOTable."""

from pathlib import Path
from xml.etree import ElementTree

from astropy.io.fits import Header

from photoz_run.reading import data_bytes
from photoz_run.tables.fits_hdus import Hdu
from photoz_run.tables.plain_yaml import read_yaml
from photoz_run.tables.streams import open_bytes
from photoz_run.tables.systems import Systems, of_cards, of_xml, of_yaml

BEGIN, END = "--BEGIN-ASTROPY-SERIALIZED-COLUMNS--", "--END-ASTROPY-SERIALIZED-COLUMNS--"
GOES_ON = "\\"
"""At the end of a line that astropy has cut."""


def systems_of(path: Path, hdu: Hdu, primary: Hdu) -> Systems:
    """What is stated of the columns of a table.

    Raises
    ------
    ValueError
        If the YAML of astropy or the VOTable of TOPCAT cannot be read.
    """
    stated = _of_astropy(hdu.header).or_else(Systems(of_all=of_cards(hdu.header)))
    if primary.header.get("VOTMETA") is True:
        stated = stated.or_else(_of_votable(path, primary, hdu.number))
    if not primary.outline.get("NAXIS"):
        stated = stated.or_else(Systems(of_all=of_cards(primary.header, "primary header")))
    return stated


def _of_astropy(header: Header) -> Systems:
    lines = [str(line) for line in header.get("COMMENT", [])]
    if BEGIN not in lines or END not in lines:
        return Systems()
    cut = lines[lines.index(BEGIN) + 1 : lines.index(END)]
    whole = "".join(
        one.removesuffix(GOES_ON) if one.endswith(GOES_ON) else f"{one}\n" for one in cut
    )
    return of_yaml(read_yaml(whole))


def _of_votable(path: Path, primary: Hdu, number: int) -> Systems:
    with open_bytes(path) as stream:
        stream.seek(primary.start)
        content = stream.read(data_bytes(primary.outline))
    try:
        return of_xml(ElementTree.fromstring(content.rstrip(b"\0 ")), number)
    except ElementTree.ParseError as error:
        raise ValueError(f"VOTable of its primary HDU: {error}") from error
