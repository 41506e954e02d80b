#!/bin/sh
# The whole program on a small simulated survey. Called by `make demo` with BIN and DEMO set.
set -eu
BIN=${BIN:-.venv/bin}
DEMO=${DEMO:-demo}
rm -rf "$DEMO"
mkdir -p "$DEMO"

echo "1/4  a simulated survey in the KiDS file layout"
"$BIN/photoz" simulate "$DEMO/survey" --tiles 8

echo "2/4  photo-z for every bright galaxy, with the bundled model (trained on simulations: not for science)"
"$BIN/photoz-run" --tiles all --data "$DEMO/survey" --out "$DEMO/run" --formats parquet,fits --quantiles \
    --keep MAG_GAAP_u MAG_GAAP_g MAG_GAAP_r MAG_GAAP_i1 MAG_GAAP_Z MAG_GAAP_Y MAG_GAAP_J MAG_GAAP_H MAG_GAAP_Ks

echo "3/4  validation against the simulated spectroscopic redshifts"
"$BIN/photoz" validate "$DEMO/run" --specz "$DEMO/survey/specz.fits"

echo "4/4  a release: one catalogue of all tiles, each source once"
"$BIN/photoz" release "$DEMO/run" --out "$DEMO/release" --name demo

echo
echo "catalogue  $DEMO/release/demo.fits, $DEMO/release/demo.parquet, about them $DEMO/release/README.md"
echo "report     $DEMO/run/validation/report.html"
