"""`PhotozModel`: load a bundle, refuse it if it is not what it says, run it."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoz_models.bundle import Bundle
from photoz_models.contract import MAGNITUDES, OUTPUTS, STAMPS, ModelContract, parse_contract
from photoz_models.errors import BundleError, NoGpuError
from photoz_models.golden import Inputs, Outputs, golden_inputs, largest_difference
from photoz_models.independence import (
    COMPANIONS,
    brightened,
    check_rows,
    dependence,
    likely_maker,
    signs_in,
)
from photoz_models.providers import Provider, StartedSession, open_session
from photoz_models.runtime import GraphRunError, one_line, read_model


def check_runtime() -> None:
    """Refuse an environment that holds both onnxruntime and onnxruntime-gpu.

    Raises
    ------
    BundleError
        The two overwrite each other's files in silence, so what would run is not known.
    """
    if _installed("onnxruntime") and _installed("onnxruntime-gpu"):
        raise BundleError(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other: "
            "uninstall both, then install one of them again"
        )


def available_threads() -> int:
    """Cores that this process may use; under a batch system fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class PhotozModel(Bundle):
    """A verified bundle on one provider.

    ``provider`` is the one really in use, ``device`` names its GPU, ``signs`` are operators in
    the file by which rows may depend on each other.
    """

    session: Any
    signs: frozenset[bytes] = frozenset()
    device: str = ""
    problem: str = ""
    """Why CUDA was tried and is not in use."""

    @classmethod
    def load(
        cls,
        path: Path,
        provider: Provider = "auto",
        allow_fallback: bool = False,
        threads: int | None = None,
    ) -> "PhotozModel":
        """Load the bundle at ``path``; check its contract and its golden values here.

        Parameters
        ----------
        provider
            ``auto`` takes CUDA where it works, else the CPU. ``cuda`` insists, unless
            ``allow_fallback``.
        threads
            Threads of one operator; by default all cores this process may use.

        Raises
        ------
        BundleError
            If file, runtime, provider, contract, inputs or golden values are not as they should.
        """
        check_runtime()
        content, where = read_model(Path(path)), str(path)
        threads = threads or available_threads()
        opened = open_session(content, where, provider, threads)
        try:
            model = cls._checked(opened, content, where)
        except GraphRunError as error:
            if opened.provider == "cpu":
                raise
            # CUDA starts without cuDNN, and on a card of which it knows nothing.
            problem = str(error).removeprefix(f"{where}: ")
            opened = replace(open_session(content, where, "cpu", threads), problem=problem)
            model = cls._checked(opened, content, where)
        if provider == "cuda" and model.provider == "cpu" and not allow_fallback:
            raise NoGpuError(
                f"{where}: CUDA was asked for and cannot be used here ({model.problem});"
                " photoz doctor looks for the reason; ask for cpu, or allow the fallback"
            )
        return model

    @classmethod
    def _checked(cls, opened: StartedSession, content: bytes, where: str) -> "PhotozModel":
        """The model of a session, if it is what it says."""
        with one_line(f"{where}: the metadata cannot be read"):
            metadata = opened.session.get_modelmeta().custom_metadata_map
        contract = parse_contract(metadata, where)
        check_signature(opened.session, contract, where)
        digest, signs = hashlib.sha256(content).hexdigest(), signs_in(content)
        model = cls(
            contract, digest, opened.provider, opened.session, signs, opened.device, opened.problem
        )
        model.verify(where)
        return model

    @property
    def computes_on(self) -> str:
        """The provider in words: ``cpu``, or ``cuda`` and the name of the card."""
        return f"{self.provider} on {self.device}" if self.device else self.provider

    def still_computes(self, number: int) -> bool:
        """Whether so many galaxies that are no tile's can be computed."""
        try:
            self.predict(*self._galaxies(self.contract.golden.seed, number))
        except GraphRunError:
            return False
        return True

    def predict(self, stamps_NCHW: NDArray[np.float32], table_NT: NDArray[np.float32]) -> Outputs:
        """Redshifts of N sources.

        Parameters
        ----------
        stamps_NCHW : float32
            Maggies prepared as the contract says; NaN where a pixel cannot be used.
        table_NT : float32
            The contract's `table_columns`: AB magnitudes, seeing in arcsec; NaN where missing.

        Returns
        -------
        z_N, quantiles_NQ, domain_distance_N : float32

        Raises
        ------
        BundleError
            If a shape does not fit the contract, or the runtime cannot compute the graph.
        """
        arrays = {STAMPS: stamps_NCHW, MAGNITUDES: table_NT}
        shapes = self.contract.input_shapes()
        for name, shape in shapes.items():
            expected = (len(table_NT), *shape)
            if arrays[name].shape != expected:
                raise BundleError(
                    f"{self.contract.name}: {name} has shape {arrays[name].shape},"
                    f" the contract asks for {expected}"
                )
        feeds = {name: np.ascontiguousarray(arrays[name], np.float32) for name in shapes}
        n = len(table_NT)
        with one_line(f"{self.contract.name}: the graph cannot be computed", GraphRunError):
            z_N, quantiles_NQ, domain_distance_N = self.session.run(list(OUTPUTS), feeds)
        outputs = (z_N, quantiles_NQ, domain_distance_N)
        shapes_out = ((n,), (n, len(self.contract.quantile_levels)), (n,))
        for name, output, shape in zip(OUTPUTS, outputs, shapes_out, strict=True):
            if output.shape != shape:
                raise GraphRunError(
                    f"{self.contract.name}: {name} has shape {output.shape} for {n} sources,"
                    f" it should be {shape}"
                )
        return outputs

    def verify(self, where: str) -> tuple[float, float]:
        """The largest differences from the golden values on this machine: in z and in distance.

        Raises
        ------
        BundleError
            If they are further off than allowed, or if rows depend on each other.
        """
        golden = self.contract.golden
        inputs = self._galaxies(golden.seed, golden.number)
        with _named(where):
            first, second = self.predict(*inputs), self.predict(*inputs)
            in_z, in_domain = largest_difference(golden, first)
        off = in_z > golden.tolerance_z or in_domain > golden.tolerance_domain
        repeats = np.allclose(first[0], second[0], 0.0, golden.tolerance_z, equal_nan=True)
        if not off or not repeats:
            self._check_rows(inputs, where)
        if off:
            raise BundleError(
                f"{where}: golden values do not come back on {self.computes_on}:"
                f" z differs by {in_z:.2g} (allowed {golden.tolerance_z:.2g}),"
                f" domain distance by {in_domain:.2g} (allowed {golden.tolerance_domain:.2g});"
                " the weights were changed or this machine computes otherwise"
            )
        return in_z, in_domain

    def _check_rows(self, inputs: Inputs, where: str) -> None:
        golden = self.contract.golden
        companions = brightened(self._galaxies(golden.seed + 2, COMPANIONS))
        problem = check_rows(self.predict, golden, inputs, companions)
        if self.provider == "cuda" and "cannot be computed" in problem:
            # A GPU may lack memory for a larger batch. The CPU tells whether the graph is to blame.
            raise GraphRunError(f"{where}: {problem}")
        if problem:
            raise BundleError(dependence(where, problem, likely_maker(self.signs, problem)))

    def _galaxies(self, seed: int, number: int) -> Inputs:
        contract = self.contract
        return golden_inputs(
            seed,
            number,
            len(contract.image_bands),
            len(contract.magnitude_bands),
            contract.stamp_size,
            len(contract.seeing_bands),
        )


@contextmanager
def _named(where: str) -> Iterator[None]:
    """A graph that cannot be computed in the block is named by its file."""
    try:
        yield
    except GraphRunError as error:
        raise GraphRunError(f"{where}: {error}") from error


def _installed(distribution: str) -> bool:
    try:
        return bool(version(distribution))
    except PackageNotFoundError:
        return False


def check_signature(session: Any, contract: ModelContract, where: str) -> None:
    """Refuse a graph whose inputs and outputs are not those of the contract.

    Raises
    ------
    BundleError
        With the names and shapes of both.
    """
    inputs, outputs = session.get_inputs(), session.get_outputs()
    expected = contract.input_shapes()
    shapes = {node.name: tuple(node.shape) for node in inputs}
    if {name: shape[1:] for name, shape in shapes.items()} != expected:
        raise BundleError(
            f"{where}: the graph's inputs {shapes} are not those of the contract,"
            f" {expected} a source"
        )
    if any(isinstance(shape[0], int) for shape in shapes.values()):
        raise BundleError(
            f"{where}: the graph has a fixed batch size; it must take any number of sources"
        )
    if any(node.type != "tensor(float)" for node in (*inputs, *outputs)):
        raise BundleError(f"{where}: the graph's inputs and outputs must be float32")
    names = [node.name for node in outputs]
    if names != list(OUTPUTS):
        raise BundleError(
            f"{where}: the graph's outputs are {names}, the contract asks for {list(OUTPUTS)}"
        )
