#!/bin/sh
# The table of the published comparison: every network trained on one simulated survey, split by tile, and measured on
# another one of 1200 tiles. Three to four hours on two cores; an interrupted run goes on where it stopped.
set -eu
BIN=${BIN:-.venv/bin}
WORK=${WORK:-build/training}

BIN=$BIN WORK=$WORK OUT="$WORK/hybrid.onnx" sh deploy/train-bundled.sh
if ! [ -e "$WORK/test/structure.parquet" ]; then
    rm -rf "$WORK/test"
    "$BIN/photoz" simulate "$WORK/test" --stamps --tiles 1200 --size 1000 --density 10 --data-release DR4.0 --seed 2027
fi
for NETWORK in magnitudes4 magnitudes9 images hybrid-z; do
    case $NETWORK in
        magnitudes*) SETTINGS="--ensemble 3 --epochs 20 --batch 256" ;;
        images) SETTINGS="--epochs 8" ;;
        hybrid-z) SETTINGS="--epochs 4 --learning-rate 1e-3 --mixed-precision" ;;
    esac
    # shellcheck disable=SC2086  # several words on purpose
    "$BIN/photoz" train --set "$WORK/set" --network "$NETWORK" $SETTINGS --split tile --seed 1 \
        --checkpoints "$WORK/checkpoints" --out "$WORK/$NETWORK.onnx"
done
"$BIN/photoz" model compare "$WORK/magnitudes4.onnx" "$WORK/magnitudes9.onnx" "$WORK/images.onnx" \
    "$WORK/hybrid-z.onnx" "$WORK/hybrid.onnx" --set "$WORK/test" --peers "$WORK/set" \
    --json docs/comparison.json --markdown docs/comparison.md
