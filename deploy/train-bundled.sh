#!/bin/sh
# Make models/bundled/hybrid-sim.onnx from nothing: simulate, cut, train, calibrate, test, seal.
# Three hours on one core, most of it training; an interrupted run goes on where it stopped.
set -eu
BIN=${BIN:-.venv/bin}
WORK=${WORK:-build/training}
OUT=${OUT:-models/bundled/hybrid-sim.onnx}
mkdir -p "$WORK"

if [ -e "$WORK/set/set.json" ]; then
    SOURCE="--set $WORK/set"
else
    SOURCE="--simulate 176 --keep-set $WORK/set"
fi
# shellcheck disable=SC2086  # two words on purpose
"$BIN/photoz" train $SOURCE --network hybrid --ensemble 2 --epochs 24 --split tile --seed 1 \
    --checkpoints "$WORK/checkpoints" --loss-plot "$WORK/hybrid-loss.png" --version 1 --out "$OUT"
"$BIN/photoz" model verify "$OUT"
