#!/bin/sh
# Make models/photoz_models/bundled/hybrid-sim.onnx from nothing: simulate, cut, train, calibrate, test, seal.
# Two hours on two cores; an interrupted training goes on where it stopped.
set -eu
BIN=${BIN:-.venv/bin}
WORK=${WORK:-build/training}
OUT=${OUT:-models/photoz_models/bundled/hybrid-sim.onnx}
mkdir -p "$WORK"

if ! [ -e "$WORK/set/truth.parquet" ]; then
    rm -rf "$WORK/set"
    "$BIN/photoz" simulate "$WORK/set" --stamps --tiles 8000 --size 1250 --density 10 --data-release DR4.0 --seed 2026
fi
# A bundle that is there is not overwritten.
rm -f "$OUT"
"$BIN/photoz" train --set "$WORK/set" --network hybrid --epochs 12 --split tile --seed 1 \
    --seeing-error 0.035 --position-error 0.05 --lost-band 0.2 --lost-magnitudes 0.25 \
    --checkpoints "$WORK/checkpoints" --loss-plot "$WORK/hybrid-loss.png" --version 7 \
    --licence BSD-3-Clause --out "$OUT"
"$BIN/photoz" model verify "$OUT"
