"""`photoz model`: look into bundles, check them on this machine, compare them, make them of foreign graphs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from photoz_models.contract import ModelContract
    from photoz_models.examples import Examples, Split
    from photoz_models.session import PhotozModel
    from photoz_run.training.comparison import Row

app = typer.Typer(no_args_is_help=True, help="Model bundles: show, verify, compare, wrap.")


@app.command()
def show(
    bundle: Annotated[Path, typer.Argument(help="A bundle, FILE.onnx.", metavar="BUNDLE")],
    as_json: Annotated[bool, typer.Option("--json", help="The whole contract as JSON.")] = False,
) -> None:
    """Print the contract of a bundle: what it takes, what it gives, where it comes from."""
    model = _load(bundle, "cpu")
    if as_json:
        typer.echo(model.contract.model_dump_json(indent=1))
        return
    for name, value in _lines(model.contract):
        typer.echo(f"{name:<20}{value}")
    typer.echo(f"{'sha256':<20}{model.digest}")


@app.command()
def verify(
    bundles: Annotated[list[Path], typer.Argument(help="Bundles, FILE.onnx.", metavar="BUNDLE...")],
    provider: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Check that bundles give their golden values on this machine; exit status 2 if one does not."""
    for bundle in bundles:
        model = _load(bundle, provider)
        in_z, in_domain = model.verify(str(bundle))
        golden = model.contract.golden
        typer.echo(
            f"{bundle}: golden values come back on {model.provider}: z within {in_z:.1e} (allowed "
            f"{golden.tolerance_z:.0e}), domain distance within {in_domain:.1e} (allowed {golden.tolerance_domain:.0e})"
        )


@app.command()
def compare(
    bundles: Annotated[list[Path], typer.Argument(help="Bundles, FILE.onnx.", metavar="BUNDLE...")],
    kept_set: Annotated[Path, typer.Option("--set", help="A kept set of labelled galaxies.")],
    json_out: Annotated[
        Path | None, typer.Option("--json", help="Write the table as JSON.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write the table as a page in Markdown.")
    ] = None,
    peers: Annotated[
        Path | None,
        typer.Option(
            metavar="SET",
            help="The set that the bundles were trained on: also fit scikit-learn's regressors to it, and for a"
            " simulated one the information bound.",
        ),
    ] = None,
) -> None:
    """Set bundles side by side on galaxies that none of them was trained on: SMAD, bias, coverage, cost."""
    from photoz_models.errors import BundleError, TrainingError
    from photoz_models.kept_sets import load_examples
    from photoz_run.errors import ConfigError
    from photoz_run.training.comparison import as_json, as_markdown, as_page, compare_bundles

    try:
        examples = load_examples(kept_set)
        # Refused before anything is measured.
        training = None if peers is None else _training_part(peers, bundles[-1])
        rows, facts, rows_N = compare_bundles(bundles, examples)
        if peers is not None and training is not None:
            rows = _peers(peers, *training, kept_set, examples, rows_N) + rows
    except (BundleError, TrainingError) as error:
        raise ConfigError(str(error)) from error
    if json_out is not None:
        json_out.write_text(as_json(rows, facts), encoding="utf-8")
    if markdown is not None:
        markdown.write_text(as_page(rows, facts), encoding="utf-8")
    typer.echo(as_markdown(rows))


def _training_part(folder: Path, bundle: Path) -> "tuple[Examples, Split]":
    """The set in ``folder`` that ``bundle`` was trained on, and how it was split."""
    from photoz_models.examples import split_examples
    from photoz_models.kept_sets import load_examples
    from photoz_models.session import PhotozModel
    from photoz_run.cli.extras import need
    from photoz_run.errors import ConfigError

    need("sklearn", extra="dev")
    trained = PhotozModel.load(bundle, provider="cpu", threads=1).contract.training
    training = load_examples(folder)
    if trained.digest != training.digest() or trained.split == "none":
        raise ConfigError(f"{folder}: --peers needs the set that the last bundle was trained on")
    return training, split_examples(training, trained.seed, trained.split)


def _peers(
    folder: Path,
    training: "Examples",
    split: "Split",
    kept_set: Path,
    examples: "Examples",
    rows_N: "NDArray[np.int64]",
) -> "list[Row]":
    from photoz_run.training.bound import bound_rows, knows_structure, with_structure
    from photoz_run.training.peers import peer_rows

    typer.echo("fitting scikit-learn's regressors to the magnitudes of the training part", err=True)
    rows = peer_rows(training, split, examples, rows_N)
    if knows_structure(folder) and knows_structure(kept_set):
        typer.echo(
            "training the information bounds' ensembles on true structure and total magnitudes",
            err=True,
        )
        rows += bound_rows(
            with_structure(training, folder), split, with_structure(examples, kept_set), rows_N
        )
    return rows


@app.command()
def wrap(
    graph: Annotated[
        Path, typer.Argument(help="Somebody else's network, FILE.onnx.", metavar="GRAPH")
    ],
    spec: Annotated[
        Path, typer.Option(help="TOML file that says how it wants its inputs; see docs/model.md.")
    ],
    out: Annotated[Path, typer.Option(help="The bundle to write.")],
) -> None:
    """Make a bundle of somebody else's ONNX graph: its preprocessing becomes graph nodes, and it gets a contract."""
    import tomllib

    from pydantic import ValidationError

    from photoz_run.cli.extras import need

    need("onnx", extra="train")
    from photoz_models.contract import first_problem
    from photoz_models.errors import BundleError
    from photoz_models.wrap import WrapSpec
    from photoz_models.wrap import wrap as wrap_graph
    from photoz_run.errors import ConfigError

    try:
        contract = wrap_graph(
            graph, WrapSpec.model_validate(tomllib.loads(spec.read_text(encoding="utf-8"))), out
        )
    except ValidationError as error:
        raise ConfigError(f"{spec}: {first_problem(error)}") from error
    except (OSError, tomllib.TOMLDecodeError, BundleError) as error:
        raise ConfigError(f"{spec}: {error}") from error
    typer.echo(f"{out}: {contract.network}")


def _load(bundle: Path, provider: str) -> "PhotozModel":
    from typing import cast

    from photoz_models.errors import BundleError
    from photoz_models.session import PhotozModel, Provider
    from photoz_run.errors import ConfigError, ContractError

    if provider not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"--provider {provider!r} is none of auto, cpu, cuda")
    try:
        return PhotozModel.load(bundle, cast("Provider", provider))
    except BundleError as error:
        raise ContractError(str(error)) from error


def _domain(contract: "ModelContract") -> str:
    share = contract.domain.fraction_inside
    return contract.domain.meaning + (
        f"; {share:.0%} of the training set lie within 1" if share else ""
    )


def _lines(contract: "ModelContract") -> list[tuple[str, str]]:
    training, metrics = contract.training, contract.test_metrics
    corrected = ", ".join(
        text
        for text, applied in (
            ("DMAG applied", contract.dmag_applied),
            ("extinction corrected", contract.extinction_corrected),
        )
        if applied
    )
    lines = [
        ("name", f"{contract.name}, version {contract.version}"),
        (
            "trained on",
            f"{'SIMULATED' if training.simulated else 'real'} galaxies: {training.set_name}",
        ),
        (
            "",
            f"{training.number:,} galaxies, {training.date}, commit {training.commit}, seed {training.seed}",
        ),
        (
            "network",
            f"{contract.network}, {contract.multiply_adds / 1e6:.2f} M multiply-adds, opset {contract.opset}",
        ),
        ("images", f"{' '.join(contract.image_bands) or 'none'}, i epoch: {contract.i_epoch}"),
        (
            "stamps",
            f"{contract.stamp_size} pixels of {contract.pixel_scale} arcsec from {contract.centring}",
        ),
        ("pixels", f"{contract.flux_unit}, {corrected or 'as in the coadd'}"),
        ("magnitudes", " ".join(contract.magnitude_bands) or "none"),
        (
            "seeing",
            f"in {' '.join(contract.seeing_bands)}, arcsec"
            if contract.seeing_bands
            else "not read",
        ),
        (
            "redshifts",
            f"{contract.z_min} to {contract.z_max}, {len(contract.quantile_levels)} quantiles",
        ),
        ("domain", _domain(contract)),
        ("licence", contract.licence),
    ]
    measured = [
        f"{name} {metrics[name]:.5f} ± {metrics[f'{name}_error']:.5f}"
        for name in metrics
        if f"{name}_error" in metrics
    ]
    lines += [("test" if k == 0 else "", text) for k, text in enumerate(measured)]
    return lines
