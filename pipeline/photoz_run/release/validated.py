"""What the validation of the run found, in a few lines for the README."""

from photoz_models.errors import DocumentError
from photoz_run.release.tiles import FinishedRun
from photoz_run.validation.document import EstimateRecord, Metrics, read_metrics
from photoz_run.validation.metrics import STATISTICS

SHOWN = ("bias", "smad", "outliers_015", "coverage_68", "coverage_95")


def validation_summary(run: FinishedRun) -> list[tuple[str, str]]:
    """Words and values from ``validation/metrics.json`` of the run; empty if there is none."""
    path = run.directory.path / "validation" / "metrics.json"
    if not path.exists():
        return []
    try:
        metrics = read_metrics(path)
    except DocumentError as error:
        reason = str(error).removeprefix(str(path)).lstrip(": ")
        return [
            ("`validation/metrics.json` of the run", "cannot be read"),
            ("the reason", reason.replace("|", "\\|")),
        ]
    return _lines(metrics, run.rows)


def _lines(metrics: Metrics, rows: int) -> list[tuple[str, str]]:
    lines = [("galaxies with a spectroscopic redshift", f"{metrics.n:,}")]
    for name in SHOWN:
        if name in metrics.statistics:
            words = STATISTICS[name].replace("|", "\\|")
            lines.append((words, _estimate(metrics.statistics[name])))
    if metrics.gates:
        failed = [gate.gate for gate in metrics.gates if not gate.passed]
        lines.append(("gates that failed", ", ".join(failed) or "none"))
    validated = metrics.catalogue.rows
    if validated != rows:
        lines.append(("**rows when it was validated**", f"{validated:,}; now {rows:,}"))
    return lines


def _estimate(estimate: EstimateRecord) -> str:
    value, low, high = estimate.value, estimate.low, estimate.high
    if value is None:
        return "-"
    if low is None or high is None:
        return f"{value:z.4f}"
    return f"{value:z.4f} ± {(high - low) / 2:.4f}"
