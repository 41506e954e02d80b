"""A contract in words, for people."""

from photoz_models.contract import ModelContract


def describe(contract: ModelContract) -> list[tuple[str, str]]:
    """Lines of what a bundle takes, what it gives and where it comes from: name and value.

    A line that goes on with the one before has an empty name.
    """
    training = contract.training
    observed = "SIMULATED" if training.simulated else "real"
    cost = f"{contract.multiply_adds / 1e6:.2f} M multiply-adds"
    origin = f"{training.date}, commit {training.commit}, seed {training.seed}"
    image_bands = " ".join(contract.image_bands) or "none"
    stamp = f"{contract.stamp_size} pixels of {contract.pixel_scale} arcsec"
    seeing = f"in {' '.join(contract.seeing_bands)}, arcsec"
    n_quantiles = len(contract.quantile_levels)
    return [
        ("name", f"{contract.name}, version {contract.version}"),
        ("trained on", f"{observed} galaxies: {training.set_name}"),
        ("", f"{training.number:,} galaxies, {origin}"),
        ("network", f"{contract.network}, {cost}, opset {contract.opset}"),
        ("images", f"{image_bands}, i epoch: {contract.i_epoch}"),
        ("stamps", f"{stamp} from {contract.centring}"),
        ("pixels", f"{contract.flux_unit}, {_corrections(contract)}"),
        ("magnitudes", " ".join(contract.magnitude_bands) or "none"),
        ("seeing", seeing if contract.seeing_bands else "not read"),
        ("redshifts", f"{contract.z_min} to {contract.z_max}, {n_quantiles} quantiles"),
        ("domain", _domain(contract)),
        *_wrapping(contract),
        *_recalibration(contract),
        *_copy(contract),
        ("licence", contract.licence),
        *_test(contract),
    ]


def _corrections(contract: ModelContract) -> str:
    applied = []
    if contract.dmag_applied:
        applied.append("DMAG applied")
    if contract.extinction_corrected:
        applied.append("extinction corrected")
    return ", ".join(applied) or "as in the coadd"


def _domain(contract: ModelContract) -> str:
    domain = contract.domain
    if not domain.fraction_inside:
        return domain.meaning
    return f"{domain.meaning}; {domain.fraction_inside:.0%} of the training set lie within 1"


def _wrapping(contract: ModelContract) -> list[tuple[str, str]]:
    """What the graph of somebody else is given, and what it gives."""
    wrapped = contract.wrapped
    if wrapped is None:
        return []
    lines = []
    if contract.image_bands:
        lines.append(f"images {wrapped.layout}, maggies x {wrapped.flux_scale:g}")
        lines.append(f"stretch: {wrapped.stretch}")
    if contract.magnitude_bands:
        kind = "standardised" if wrapped.standardised else "as they are"
        lines.append(f"magnitudes {kind}, missing ones as {wrapped.missing}")
    calibrated = f", calibrated on {wrapped.calibrated_on}" if wrapped.calibrated_on else ""
    lines.append(f"gives {wrapped.head} of {wrapped.target}{calibrated}")
    return [("" if number else "wrapped", line) for number, line in enumerate(lines)]


def _recalibration(contract: ModelContract) -> list[tuple[str, str]]:
    """By which galaxies the quantiles were recalibrated, and what that changed."""
    facts = contract.recalibrated
    if facts is None:
        return []
    tiles = "1 tile" if facts.tiles == 1 else f"{facts.tiles:,} tiles"
    lines = [f"quantiles, on {facts.number:,} galaxies in {tiles}: {facts.pairs}"]
    if facts.magnitudes:
        lines.append("at r = " + ", ".join(f"{knot:.2f}" for knot in facts.magnitudes))
    for percent in (68, 95):
        shares = [facts.held_out.get(f"coverage_{percent}_{when}") for when in ("after", "before")]
        if None not in shares:
            after, before = shares
            lines.append(
                f"{percent}% intervals hold {after:.1%} on held-out tiles, were {before:.1%}"
            )
    lines.append(f"parent sha256 {facts.parent}")
    return [("" if number else "recalibrated", line) for number, line in enumerate(lines)]


def _copy(contract: ModelContract) -> list[tuple[str, str]]:
    facts = contract.copied
    return [] if facts is None else [("copy of", f"sha256 {facts.parent}, its graph changed")]


def _test(contract: ModelContract) -> list[tuple[str, str]]:
    metrics = contract.test_metrics
    lines: list[tuple[str, str]] = []
    for name, value in metrics.items():
        error = metrics.get(f"{name}_error")
        if error is not None:
            lines.append(("" if lines else "test", f"{name} {value:.5f} ± {error:.5f}"))
    return lines
