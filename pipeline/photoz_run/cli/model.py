"""`photoz model`: look into bundles, check, compare, replace, recalibrate, reseal and wrap them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from photoz_models.examples import Examples
    from photoz_models.session import PhotozModel
    from photoz_models.stamp_rule import StampRule

BUNDLE = "A bundle: FILE.onnx, or the name of a shipped one."

app = typer.Typer(
    no_args_is_help=True,
    help="Model bundles: show, verify, check, compare, equivalence, recalibrate, reseal, wrap.",
)


@app.command()
def show(
    bundle: Annotated[str, typer.Argument(help=BUNDLE, metavar="BUNDLE")],
    as_json: Annotated[bool, typer.Option("--json", help="The whole contract as JSON.")] = False,
) -> None:
    """Print the contract of a bundle: what it takes, what it gives, where it comes from."""
    from photoz_models.description import describe
    from photoz_run.cli.tables import print_aligned

    model = _load(bundle, "cpu")
    if as_json:
        typer.echo(model.contract.model_dump_json(indent=1))
        return
    print_aligned([*describe(model.contract), ("sha256", model.digest)])


@app.command()
def verify(
    bundles: Annotated[list[str], typer.Argument(help=BUNDLE, metavar="BUNDLE...")],
    provider: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Check that bundles give their golden values here; exit status 2 if one does not."""
    for bundle in bundles:
        model = _load(bundle, provider)
        golden = model.contract.golden
        in_z, in_domain = model.verify(str(bundle))
        redshifts = f"z within {in_z:.1e} (allowed {golden.tolerance_z:.0e})"
        distances = (
            f"domain distance within {in_domain:.1e} (allowed {golden.tolerance_domain:.0e})"
        )
        typer.echo(
            f"{bundle}: golden values come back on {model.computes_on}: {redshifts}, {distances}"
        )


@app.command()
def check(
    bundle: Annotated[str, typer.Argument(help=BUNDLE, metavar="BUNDLE")],
    kept_set: Annotated[Path, typer.Option("--set", help="A kept set of labelled galaxies.")],
    provider: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Try on labelled galaxies whether a bundle is fed what its network was trained on.

    Exit status 4 if the redshifts are better under a plausible mistake than as the contract says.
    """
    from photoz_models.kept_sets import load_examples
    from photoz_run.errors import ExitCode
    from photoz_run.progress import StepProgress
    from photoz_run.training.readings import as_table, check_bundle, in_words

    model, examples = _load(bundle, provider), load_examples(kept_set)
    _tell_other_stamps(bundle, model.contract, examples)
    progress = StepProgress(command="photoz model check")
    with progress.shown():
        verdict = check_bundle(model, examples, progress)
    typer.echo(as_table(verdict.tried))
    typer.echo(f"{bundle}: {in_words(verdict)}")
    if verdict.best is not None:
        raise typer.Exit(ExitCode.GATE_FAILED)


@app.command()
def compare(
    bundles: Annotated[list[str], typer.Argument(help=BUNDLE, metavar="BUNDLE...")],
    kept_set: Annotated[Path, typer.Option("--set", help="A kept set of labelled galaxies.")],
    json_out: Annotated[
        Path | None, typer.Option("--json", help="Write the table as JSON.")
    ] = None,
) -> None:
    """Set bundles side by side on galaxies that none of them was trained on."""
    from photoz_models.bundle import read_bundle
    from photoz_models.documents import document_text
    from photoz_models.kept_sets import load_examples
    from photoz_run.config import model_path
    from photoz_run.progress import StepProgress
    from photoz_run.training.comparison import as_table, compare_bundles

    progress = StepProgress(command="photoz model compare")
    paths, examples = [model_path(bundle) for bundle in bundles], load_examples(kept_set)
    for bundle, path in zip(bundles, paths, strict=True):
        _tell_other_stamps(bundle, read_bundle(path).contract, examples)
    with progress.shown():
        comparison = compare_bundles(paths, examples, progress)
    if json_out is not None:
        _write(json_out, document_text(comparison.rounded()))
    typer.echo(as_table(comparison.rows))


@app.command()
def equivalence(
    first: Annotated[str, typer.Argument(help="The bundle that is known.", metavar="A")],
    second: Annotated[str, typer.Argument(help="The one to take its place.", metavar="B")],
    kept_set: Annotated[Path, typer.Option("--set", help="A kept set of labelled galaxies.")],
    provider: Annotated[str, typer.Option("--provider-a", help="Of A: auto, cpu or cuda.")] = "cpu",
    provider_of_second: Annotated[
        str, typer.Option("--provider-b", help="Of B: auto, cpu or cuda.")
    ] = "cpu",
    json_out: Annotated[
        Path | None, typer.Option("--json", help="Write the verdict as JSON.")
    ] = None,
) -> None:
    """Say whether a bundle, or a provider, may take the place of another for a release.

    Exit status 4 if it may not.
    """
    from photoz_models.documents import document_text
    from photoz_models.kept_sets import load_examples
    from photoz_run.errors import ExitCode
    from photoz_run.training.equivalence import as_table, in_words
    from photoz_run.training.equivalence import equivalence as side_by_side

    sides = (
        (Path(first).name, _load(first, provider)),
        (Path(second).name, _load(second, provider_of_second)),
    )
    examples = load_examples(kept_set)
    _tell_other_stamps(first, sides[0][1].contract, examples)
    result = side_by_side(*sides, examples)
    if json_out is not None:
        _write(json_out, document_text(result))
    typer.echo(as_table(result))
    typer.echo(in_words(result))
    if result.beyond:
        raise typer.Exit(ExitCode.GATE_FAILED)


@app.command()
def recalibrate(
    bundle: Annotated[str, typer.Argument(help=BUNDLE, metavar="BUNDLE")],
    pairs: Annotated[
        Path,
        typer.Option(
            "--with",
            metavar="PAIRS",
            help="pairs.parquet of photoz validate --pairs, or a kept set of labelled galaxies.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="The bundle to write; without it, only measure.")
    ] = None,
) -> None:
    """Make quantiles cover what they promise, at each magnitude, by galaxies with spec-z.

    Prints the coverage of tiles that the map was not fitted to, before and after.
    """
    from photoz_run.cli.extras import need

    need("onnx", extra="train")
    from photoz_models import recalibration
    from photoz_models.level_map import held_out
    from photoz_run.config import model_path
    from photoz_run.errors import writing
    from photoz_run.training.known_redshifts import labelled_quantiles
    from photoz_run.training.recalibrated import as_table

    path, model = model_path(bundle), _load(bundle, "cpu")
    recalibration.refuse_second(model, path)
    labelled = labelled_quantiles(
        model, pairs, lambda line: typer.echo(f"{bundle}: {line}", err=True)
    )
    measured = held_out(labelled, model.contract.quantile_levels)
    for line in as_table(labelled, measured):
        typer.echo(line)
    if out is not None:
        with writing(out):
            contract = recalibration.recalibrate(path, labelled, out, measured)
        typer.echo(f"{out}: {contract.name}, version {contract.version}, verified")


@app.command()
def reseal(
    graph: Annotated[
        Path, typer.Argument(help="The changed copy of a bundle, FILE.onnx.", metavar="GRAPH")
    ],
    parent: Annotated[
        str, typer.Option("--of", metavar="BUNDLE", help="The bundle that it is a copy of.")
    ],
    out: Annotated[Path, typer.Option(help="The bundle to write.")],
) -> None:
    """Seal a copy of a bundle whose graph some tool changed: quantised, or in half precision.

    It has the contract of its parent and golden values of its own. Whether it may take the
    parent's place is said by `photoz model equivalence`.
    """
    from photoz_run.cli.extras import need

    need("onnx", extra="train")
    from photoz_models import copies
    from photoz_run.config import model_path
    from photoz_run.errors import writing

    with writing(out):
        contract, shifts = copies.reseal(graph, model_path(parent), out)
    typer.echo(
        f"{out}: {contract.name}, version {contract.version}, verified; redshifts of"
        f" {copies.NUMBER} made-up galaxies shift by {shifts.median_z:.1e} (median), at most"
        f" {shifts.largest_z:.1e}, domain distances by {shifts.largest_distance:.1e}"
    )


@app.command()
def wrap(
    graph: Annotated[
        Path, typer.Argument(help="Somebody else's network, FILE.onnx.", metavar="GRAPH")
    ],
    spec: Annotated[
        Path, typer.Option(help="TOML file that says how it wants its inputs; see docs/model.md.")
    ],
    out: Annotated[Path, typer.Option(help="The bundle to write.")],
    calibrate: Annotated[
        Path | None,
        typer.Option(
            metavar="PAIRS",
            help="A kept set of labelled galaxies, new to the network, that sets its quantiles.",
        ),
    ] = None,
) -> None:
    """Make a bundle of somebody else's ONNX graph; its preprocessing becomes graph nodes."""
    from photoz_run.cli.extras import need

    need("onnx", extra="train")
    from photoz_models import wrap as wrapping
    from photoz_models.kept_sets import load_examples
    from photoz_run.errors import writing

    wanted = wrapping.read_spec(spec)
    pairs = None if calibrate is None else load_examples(calibrate)
    if pairs is not None:
        _tell_other_stamps(str(spec), wanted, pairs)
    with writing(out):
        contract = wrapping.wrap(graph, wanted, out, pairs, lambda text: typer.echo(text, err=True))
    typer.echo(f"{out}: {contract.network}, verified")


def _write(out: Path, text: str) -> None:
    from photoz_models.whole_files import written_whole
    from photoz_run.errors import writing

    with writing(out), written_whole(out) as beside:
        beside.write_text(text, encoding="utf-8")


def _tell_other_stamps(name: str, rule: "StampRule", examples: "Examples") -> None:
    """Stamps of another calibration give other redshifts, and a set is often all there is."""
    from photoz_run.training.comparison import other_stamps

    for line in other_stamps(rule, examples):
        typer.echo(f"{name}: {line}", err=True)


def _load(bundle: str, provider: str) -> "PhotozModel":
    from typing import cast

    from photoz_models.providers import Provider
    from photoz_models.session import PhotozModel
    from photoz_run.config import model_path
    from photoz_run.errors import ConfigError

    if provider not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"--provider {provider!r} is none of auto, cpu, cuda")
    return PhotozModel.load(model_path(bundle), cast("Provider", provider))
