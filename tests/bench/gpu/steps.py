"""``python -m bench.gpu.steps NAME PROVIDER SET``: one step; its figures as a line of JSON."""

import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import BrokenBarrierError
from typing import Any

import numpy as np

from bench.gpu import half_precision
from photoz_models import BUNDLED
from photoz_models.contract import MAGNITUDES, OUTPUTS, STAMPS
from photoz_models.errors import PhotozError
from photoz_models.golden import Inputs, golden_inputs
from photoz_models.independence import BATCH
from photoz_models.providers import CPU, CUDA, CUDA_OPTIONS, Provider
from photoz_models.session import PhotozModel
from photoz_run.run.machine import answer
from photoz_run.version import package_versions

BUNDLE = BUNDLED / "hybrid-sim.onnx"
SIZES = (64, BATCH, 1024, 4096)
READERS = (1, 2, 4, 8)
LASTS = 3.0
"""Seconds that a rate is measured for."""

Figures = dict[str, Any]


def device(provider: Provider, _: str) -> Figures:
    """What is here: card, driver, runtime, and what the runtime says that it can use."""
    import onnxruntime

    cards = answer("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    return {
        "card": cards or "none",
        **package_versions(("onnxruntime", "onnxruntime-gpu", "torch", "nvidia-cudnn-cu13")),
        "providers": " ".join(onnxruntime.get_available_providers()),
    }


def golden(provider: Provider, _: str) -> Figures:
    """The golden values, and whether rows keep their bits in another order."""
    start = time.perf_counter()
    model = PhotozModel.load(BUNDLE, provider, threads=1)
    loaded = time.perf_counter() - start
    in_z, in_domain = model.verify(str(BUNDLE))
    inputs = galaxies(model, BATCH)
    order_N = np.random.default_rng(1).permutation(BATCH)
    first = model.predict(*inputs)
    second = model.predict(*(array[order_N] for array in inputs))
    moved = max(float(np.abs(a[order_N] - b).max()) for a, b in zip(first, second, strict=True))
    return {
        "computed on": model.computes_on,
        "seconds to load and verify": loaded,
        "golden: z differs by": in_z,
        "golden: domain distance differs by": in_domain,
        "another order of the rows moves by": moved,
    }


def rates(provider: Provider, _: str) -> Figures:
    """Galaxies a second by batch size: as the program feeds it, two batches at once, resident."""
    model = PhotozModel.load(BUNDLE, provider, threads=1)
    figures: Figures = {}
    for size in SIZES:
        inputs = galaxies(model, size)
        figures[f"{size}: one batch after another"] = rate(partial(model.predict, *inputs), size)
        figures[f"{size}: two at once"] = two_at_once(model, inputs)
        figures[f"{size}: resident on the device"] = rate(resident(model, inputs), size)
    fed, bare = figures[f"{BATCH}: two at once"], figures[f"{BATCH}: resident on the device"]
    figures["fed / resident (target 0.8)"] = fed / bare
    return figures


def readers(provider: Provider, _: str) -> Figures:
    """Galaxies a second of several processes on one device, as workers of a run are."""
    figures: Figures = {}
    context = multiprocessing.get_context("spawn")
    for number in READERS:
        barrier = context.Barrier(number)
        results = context.SimpleQueue()
        work = (provider, barrier, results)
        processes = [context.Process(target=read, args=work) for _ in range(number)]
        for process in processes:
            process.start()
        figures[f"{number} processes"] = together([results.get() for _ in processes])
        for process in processes:
            process.join()
    return figures


def equivalence(provider: Provider, kept_set: str) -> Figures:
    """May a release be made here that was begun on a CPU?"""
    from photoz_models.kept_sets import load_examples
    from photoz_run.training.equivalence import equivalence, in_words

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(kept_set or simulated(Path(scratch)))
        models = [PhotozModel.load(BUNDLE, where, threads=1) for where in ("cpu", provider)]
        first, second = (("hybrid-sim", model) for model in models)
        result = equivalence(first, second, load_examples(folder))
    return {"verdict": in_words(result), **vars(result.figures)}


def float16(provider: Provider, _: str) -> Figures:
    """The same graph with convolutions of half the bits: its rate, and how far redshifts move."""
    import onnx

    model = PhotozModel.load(BUNDLE, provider, threads=1)
    half = half_precision.image_branch(onnx.load(BUNDLE))
    session = bare_session(half.SerializeToString(), provider)
    inputs = galaxies(model, BATCH)
    z_N = model.predict(*inputs)[0]
    half_z_N = session.run([OUTPUTS[0]], feeds(inputs))[0]
    smad = model.contract.test_metrics["smad"]
    shift_N = np.abs(half_z_N - z_N) / (1 + z_N) / smad
    return {
        "galaxies/s": rate(lambda: session.run(list(OUTPUTS), feeds(inputs)), BATCH),
        "median shift / SMAD": float(np.nanmedian(shift_N)),
        "largest shift / SMAD": float(np.nanmax(shift_N)),
    }


def tensorrt(provider: Provider, _: str) -> Figures:
    """The same with TensorRT, where it is installed."""
    import onnxruntime

    name = "TensorrtExecutionProvider"
    if name not in onnxruntime.get_available_providers() or provider == "cpu":
        return {"verdict": "not here"}
    model = PhotozModel.load(BUNDLE, provider, threads=1)
    session = bare_session(BUNDLE.read_bytes(), provider, name)
    if session.get_providers()[0] != name:
        return {"verdict": "named by the runtime, cannot be used"}
    inputs = galaxies(model, BATCH)
    z_N, other_z_N = model.predict(*inputs)[0], session.run([OUTPUTS[0]], feeds(inputs))[0]
    return {
        "galaxies/s": rate(lambda: session.run(list(OUTPUTS), feeds(inputs)), BATCH),
        "largest change of z": float(np.nanmax(np.abs(other_z_N - z_N))),
    }


def training(provider: Provider, _: str) -> Figures:
    """Galaxies a second of training, in float32 and with the image branch in bfloat16."""
    from photoz_models.examples import split_examples
    from photoz_models.network import ARCHITECTURES
    from photoz_models.training import train
    from photoz_models.training_settings import Settings
    from support.galaxies import toy_examples

    number = 2_000 if provider == "cpu" else 40_000
    examples = toy_examples(number, size=36)
    split = split_examples(examples, 1, "galaxy")
    figures: Figures = {}
    for name, mixed in (("float32", False), ("bfloat16", True)):
        settings = Settings(epochs=2, mixed_precision=mixed)
        marks: list[float] = []
        ended = lambda epoch, marks=marks: marks.append(time.perf_counter())  # noqa: E731
        train(ARCHITECTURES["hybrid"], examples, split, settings, on_epoch=ended)
        # The first epoch warms up.
        figures[f"{name}, galaxies/s"] = len(split.train_N) / (marks[1] - marks[0])
    return figures


def tile(provider: Provider, _: str) -> Figures:
    """Two simulated tiles through the real command."""
    with tempfile.TemporaryDirectory() as scratch:
        data, run = Path(scratch) / "data", Path(scratch) / "run"
        photoz("simulate", data, "--tiles", "2", "--seed", "1")
        start = time.perf_counter()
        words = ["--data", data, "--out", run, "--model", BUNDLE, "--provider", provider]
        photoz("run", "--tiles", "all", *words)
        return {"seconds for two tiles": time.perf_counter() - start}


STEPS: dict[str, Callable[[Provider, str], Figures]] = {
    step.__name__: step
    for step in (
        device,
        golden,
        rates,
        readers,
        equivalence,
        float16,
        tensorrt,
        training,
        tile,
    )
}


def galaxies(model: PhotozModel, number: int) -> Inputs:
    """Golden galaxies in the shape that the bundle reads."""
    contract = model.contract
    n_bands = len(contract.image_bands), len(contract.magnitude_bands)
    return golden_inputs(1, number, *n_bands, contract.stamp_size, len(contract.seeing_bands))


def feeds(inputs: Inputs) -> dict[str, np.ndarray]:
    """Inputs by the names of the graph."""
    return dict(zip((STAMPS, MAGNITUDES), inputs, strict=True))


def rate(call: Callable[[], object], size: int) -> float:
    """Galaxies a second: the median of the calls of `LASTS` seconds, after three to warm up."""
    for _ in range(3):
        call()
    times = []
    end = time.perf_counter() + LASTS
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return size / statistics.median(times)


def two_at_once(model: PhotozModel, inputs: Inputs) -> float:
    """Galaxies a second of two threads: one batch is copied while another is computed."""
    size = len(inputs[1])
    model.predict(*inputs)
    end = time.perf_counter() + LASTS

    def feed(_: int) -> int:
        done = 0
        while time.perf_counter() < end:
            model.predict(*inputs)
            done += size
        return done

    start = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        total = sum(pool.map(feed, range(2)))
    return total / (time.perf_counter() - start)


def resident(model: PhotozModel, inputs: Inputs) -> Callable[[], object]:
    """A call that computes with inputs and outputs in the memory of the device."""
    import onnxruntime

    where = model.provider
    binding = model.session.io_binding()
    for name, array in feeds(inputs).items():
        value = onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), where, 0)
        binding.bind_ortvalue_input(name, value)
    for name in OUTPUTS:
        binding.bind_output(name, where, 0)

    def call() -> None:
        model.session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return call


def bare_session(content: bytes, provider: Provider, *first: str) -> Any:
    """A session of the runtime without a contract, with the options of the program.

    Loading a model has loaded CUDA's libraries.
    """
    import onnxruntime

    cuda = [(CUDA, CUDA_OPTIONS)] if provider == "cuda" else []
    return onnxruntime.InferenceSession(content, providers=[*first, *cuda, CPU], enable_fallback=0)


def read(provider: Provider, barrier: Any, results: Any) -> None:
    """One process of `readers`: they begin together, and each tells its galaxies a second.

    One that fails, without memory on the device for instance, tells why and lets none wait.
    """
    try:
        model = PhotozModel.load(BUNDLE, provider, threads=1)
        inputs = galaxies(model, BATCH)
        barrier.wait()
        results.put(two_at_once(model, inputs))
    except (PhotozError, BrokenBarrierError) as error:
        barrier.abort()
        results.put(str(error))


def together(told: list[float | str]) -> float | str:
    """The galaxies a second of several processes; why there are none, if one failed."""
    rates = [one for one in told if isinstance(one, float)]
    problems = [one for one in told if isinstance(one, str) and one]
    return sum(rates) if len(rates) == len(told) else f"failed: {(*problems, 'no reason')[0]}"


def simulated(scratch: Path) -> Path:
    """A small kept set, made here."""
    folder = scratch / "set"
    photoz("simulate", folder, "--stamps", "--tiles", "40", "--size", "1250", "--density", "10")
    return folder


def photoz(*words: object) -> None:
    """Run a command of the program; what it says is an error's."""
    command = [sys.executable, "-m", "photoz_run", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(" ".join(done.stderr.split())[-300:])


if __name__ == "__main__":
    asked_step, asked_provider, asked_set = sys.argv[1:]
    print(json.dumps(STEPS[asked_step](asked_provider, asked_set)))
