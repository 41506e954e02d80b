#!/usr/bin/env bash
# A VOTable that astropy's Table reads and writes again no longer says that its positions are FK4.
#
# COOSYS is where a VOTable states the coordinate system of its columns. Table.read keeps unit, UCD
# and description and drops COOSYS without a word, so that a VOTable, FITS, ECSV or Parquet file
# written from it has right ascensions of B1950 that are taken for ICRS, 0.7 degrees away. The
# same file keeps COOSYS through astropy's own parse() and to_xml().
#
# Seen with astropy 8.0.2 on 29 November 2026: no warning, and no FK4 in any of the files.
# Exit status 1 if a file says FK4.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 astropy==8.0.2 \
  pyarrow==26.0.1
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys
import warnings
from pathlib import Path

from astropy.coordinates import FK4, SkyCoord
from astropy.io.votable import parse
from astropy.table import Table

DOCUMENT = """<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE>
<COOSYS ID="s" system="FK4" equinox="B1950"/><TABLE>
<FIELD name="RA" datatype="double" unit="deg" ucd="pos.eq.ra" ref="s"/>
<FIELD name="DEC" datatype="double" unit="deg" ucd="pos.eq.dec" ref="s"/>
<DATA><TABLEDATA><TR><TD>180.0</TD><TD>0.5</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>
"""
folder = Path(sys.argv[1])
source = folder / "source.vot"
source.write_text(DOCUMENT)
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    table = Table.read(source, format="votable")
    kept = {}
    for name, form in {"vot": "votable", "fits": "fits", "ecsv": None, "parquet": None}.items():
        path = folder / f"written.{name}"
        table.write(path, format=form)
        kept[name] = b"FK4" in path.read_bytes()
for name, has in kept.items():
    print(f"{name}: {'FK4 is stated' if has else 'nothing says FK4'}")
print(f"warnings {len(warned)}")
parse(source).to_xml(str(folder / "parsed.vot"))
print(f"parse() and to_xml(): FK4 {'kept' if 'FK4' in (folder / 'parsed.vot').read_text() else 'lost'}")
there = SkyCoord(180, 0.5, unit="deg", frame=FK4(equinox="B1950")).icrs
apart = there.separation(SkyCoord(180, 0.5, unit="deg"))
print(f"taken for ICRS, it lies {apart.deg:.2f} degrees away")
sys.exit(1 if any(kept.values()) or warned else 0)
PY
