#!/bin/sh
# The table of the published comparison: every network on the same simulated galaxies, split by tile.
# hybrid-z, the published architecture, has ten times the cost of hybrid: add it to NETWORKS where there is a GPU.
set -eu
BIN=${BIN:-.venv/bin}
WORK=${WORK:-build/training}
NETWORKS=${NETWORKS:-magnitudes4 magnitudes9 images}

OUT="$WORK/hybrid.onnx" BIN=$BIN WORK=$WORK sh deploy/train-bundled.sh
BUNDLES=
for NETWORK in $NETWORKS; do
    case $NETWORK in
        magnitudes*) SETTINGS="--ensemble 3 --epochs 40 --batch 256" ;;
        *) SETTINGS="--ensemble 1 --epochs 20" ;;
    esac
    # shellcheck disable=SC2086  # several words on purpose
    "$BIN/photoz" train --set "$WORK/set" --network "$NETWORK" $SETTINGS --split tile --seed 1 \
        --checkpoints "$WORK/checkpoints" --out "$WORK/$NETWORK.onnx"
    BUNDLES="$BUNDLES $WORK/$NETWORK.onnx"
done
# shellcheck disable=SC2086
"$BIN/photoz" model compare $BUNDLES "$WORK/hybrid.onnx" --set "$WORK/set" --peers \
    --json docs/comparison.json --markdown docs/comparison.md
