#!/bin/sh
# Called while a container is built: installs the wheel in FOLDER/dist for cpu, cuda12 or cuda13.
set -eu
PROVIDER=$1
FOLDER=$2
case $PROVIDER in
    cpu) EXTRA= ;;
    cuda13) EXTRA='[cuda13]' ;;
    # The last ONNX Runtime for CUDA 12 is older than the one that the tests pin.
    cuda12) EXTRA='[cuda12]' && sed -i '/^onnxruntime-gpu==/d' "$FOLDER/constraints.txt" ;;
    *) echo "PROVIDER is cpu, cuda12 or cuda13, not $PROVIDER" >&2 && exit 2 ;;
esac
WHEEL=$(ls "$FOLDER"/dist/photoz_run-*.whl)
pip install --no-cache-dir --constraint "$FOLDER/constraints.txt" "$WHEEL$EXTRA"
