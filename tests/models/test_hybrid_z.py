"""The published Hybrid-z, built in Keras by its description, becomes a bundle.

Its architecture is that of A&A 698, A276, as `photoz_models.published` has it in torch. Stamps are
stretched as published, each by its own percentiles with an epsilon of 1e-8 in maggies. What goes
wrong when its scripts are taken over with another order of channels, another flux unit or a scaler
that is fitted at prediction is planted and found in tests/training/test_readings.py.
"""

import time
from pathlib import Path

import numpy as np
import pytest

from photoz_models.session import PhotozModel
from photoz_models.wrap import WrapSpec, wrap
from support.foreign import TRAINING
from support.galaxies import toy_examples

pytestmark = pytest.mark.exporters

GALAXIES = toy_examples(512, seed=2, size=36)


def conv(x, channels: int, kernel: int):
    from keras import layers

    return layers.Conv2D(channels, kernel, padding="same", activation="relu")(x)


def inception(x):
    from keras import layers

    pooled = layers.MaxPooling2D(3, 1, padding="same")(x)
    branches = [
        conv(x, 64, 1),
        conv(conv(x, 96, 1), 128, 3),
        conv(conv(x, 16, 1), 32, 5),
        conv(pooled, 32, 1),
    ]
    return layers.Concatenate()(branches)


def hybrid_z():
    import keras
    from keras import layers

    images, mags = keras.Input((36, 36, 4), name="images"), keras.Input((9,), name="mags")
    x = layers.MaxPooling2D(3)(conv(images, 64, 7))
    x = conv(conv(x, 64, 1), 192, 3)
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    for _ in range(4):
        x = inception(x)
    t = layers.Dense(256, activation="relu")(layers.Dense(512, activation="relu")(mags))
    t = layers.Dropout(0.2)(layers.BatchNormalization()(t))
    t = layers.Dense(64, activation="relu")(layers.Dense(128, activation="relu")(t))
    joined = layers.Concatenate()([layers.Flatten()(x), t])
    hidden = layers.Dense(1024, activation="relu")(joined)
    network = keras.Model([images, mags], layers.Dense(1)(hidden))
    network.compile(keras.optimizers.Adam(1e-4), "mse")
    return network


def prepared(spec: WrapSpec) -> tuple[np.ndarray, np.ndarray]:
    x_NCHW = np.nan_to_num(GALAXIES.stamps_NCHW)
    low, high = np.percentile(x_NCHW, spec.percentiles, axis=(2, 3), keepdims=True)
    x_NCHW = np.clip((x_NCHW - low) / (high - low + spec.epsilon), 0, 1)
    standard_NB = (GALAXIES.table_NT - spec.magnitude_mean) / np.array(spec.magnitude_scale)
    x_NHWC = np.ascontiguousarray(x_NCHW.transpose(0, 2, 3, 1), np.float32)
    return x_NHWC, standard_NB.astype(np.float32)


def seconds(run, times: int = 3) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken)


def test_the_published_network_becomes_a_bundle(tmp_path: Path):
    import onnxruntime

    spec = WrapSpec(
        name="hybrid-z",
        licence="none",
        image_input="images",
        magnitude_input="mags",
        output="Identity:0",
        magnitude_mean=tuple(GALAXIES.table_NT.mean(axis=0).tolist()),
        magnitude_scale=tuple(GALAXIES.table_NT.std(axis=0).tolist()),
        target="log1pz",
        scatter=0.015,
        training=TRAINING,
    )
    inputs = prepared(spec)
    network = hybrid_z()
    assert network.count_params() > 9e6
    network.fit(list(inputs), np.log1p(GALAXIES.z_N), epochs=2, batch_size=64, verbose=0)
    network.export(tmp_path / "theirs.onnx", format="onnx")
    expected_N = np.expm1(network.predict(list(inputs), verbose=0)[:, 0])

    wrapping = seconds(lambda: wrap(tmp_path / "theirs.onnx", spec, tmp_path / "b.onnx"), 1)
    model = PhotozModel.load(tmp_path / "b.onnx", "cpu", threads=1)
    z_N = model.predict(GALAXIES.stamps_NCHW, GALAXIES.table_NT)[0]

    np.testing.assert_allclose(z_N, np.clip(expected_N, 0, 1), atol=5e-6)
    assert np.ptp(z_N) > 0.001
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    bare = onnxruntime.InferenceSession(
        tmp_path / "theirs.onnx", options, providers=["CPUExecutionProvider"]
    )
    stamps_NCHW, table_NT = GALAXIES.stamps_NCHW[:256], GALAXIES.table_NT[:256]
    feeds = {"images": inputs[0][:256], "mags": inputs[1][:256]}
    alone = seconds(lambda: bare.run(None, feeds))
    preparing = seconds(lambda: prepared(spec)) / 2
    wrapped = seconds(lambda: model.predict(stamps_NCHW, table_NT))
    size = (tmp_path / "theirs.onnx").stat().st_size / 1e6
    print(f"{size:.0f} MB wrapped in {wrapping:.1f} s; 256 galaxies: bare {alone:.3f} s,")
    print(f"preparation in numpy {preparing:.3f} s, wrapped {wrapped:.3f} s")
    assert wrapping < 20
    assert wrapped < 1.05 * (alone + preparing)
