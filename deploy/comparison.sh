#!/bin/sh
# The table of the published comparison: every network trained on one simulated survey, split by tile, and measured on
# another one of 1200 tiles. Five hours on two cores; an interrupted run goes on where it stopped.
set -eu
BIN=${BIN:-.venv/bin}
WORK=${WORK:-build/training}
TRAINING="--tiles 8000 --size 1250 --density 10 --data-release DR4.0 --seed 2026"
TEST="--tiles 1200 --size 1000 --density 10 --data-release DR4.0 --seed 2027"

BIN=$BIN WORK=$WORK OUT="$WORK/hybrid.onnx" sh deploy/train-bundled.sh
# shellcheck disable=SC2086  # several words on purpose, here and below
if ! [ -e "$WORK/test/truth.parquet" ]; then
    rm -rf "$WORK/test"
    "$BIN/photoz" simulate "$WORK/test" --stamps $TEST
fi
# shellcheck disable=SC2086
"$BIN/python" -m studies.structure "$WORK/set" $TRAINING
# shellcheck disable=SC2086
"$BIN/python" -m studies.structure "$WORK/test" $TEST
for NETWORK in magnitudes4 magnitudes9 images hybrid-z; do
    case $NETWORK in
        magnitudes*) SETTINGS="--ensemble 3 --epochs 20 --batch 256" ;;
        images) SETTINGS="--epochs 8" ;;
        hybrid-z) SETTINGS="--epochs 4 --learning-rate 1e-3" ;;
    esac
    rm -f "$WORK/$NETWORK.onnx"
    # shellcheck disable=SC2086
    "$BIN/photoz" train --set "$WORK/set" --network "$NETWORK" $SETTINGS --split tile --seed 1 \
        --licence BSD-3-Clause --checkpoints "$WORK/checkpoints" --out "$WORK/$NETWORK.onnx"
done
"$BIN/python" -m studies.comparison "$WORK/magnitudes4.onnx" "$WORK/magnitudes9.onnx" "$WORK/images.onnx" \
    "$WORK/hybrid-z.onnx" "$WORK/hybrid.onnx" --test "$WORK/test" --training "$WORK/set" \
    --json docs/comparison.json --markdown docs/comparison.md
