"""What ``provenance.json`` and the README say: complete, in agreement, with sums that close."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from photoz_run import __version__
from photoz_run.config import RESULT_FIELDS, settings_digest
from photoz_run.errors import ConfigError
from photoz_run.records import Status
from photoz_run.release.accounting import totals
from photoz_run.release.companions import COMPANIONS
from photoz_run.release.eso_cards import wrong_cards
from photoz_run.release.proof.check import Check, verdict
from photoz_run.release.proof.opened import same_build
from photoz_run.release.provenance import ReleaseProvenance, ScienceCut, TileFacts
from photoz_run.wording import counted

SHA256 = re.compile("[0-9a-f]{64}")
FINISHED = (Status.DONE, Status.NO_WORK)


def check_complete(provenance: ReleaseProvenance) -> Check:
    """Look for what a release must say of its making."""
    run, model = provenance.run, provenance.model
    texts = {
        "name": provenance.name,
        "program": provenance.program,
        "commit": provenance.commit,
        "date": provenance.date,
        "model name": model.name,
        "model version": model.version,
        "program of the run": run.program,
        "commit of the run": run.commit,
    }
    problems = [f"{name} is missing" for name, text in texts.items() if not text]
    digests = {
        "model digest": model.digest,
        "run digest": run.run_digest,
        "configuration digest": run.config_digest,
    }
    for name, digest in digests.items():
        if not SHA256.fullmatch(digest):
            problems.append(f"{name} is no sha256")
    if not model.redshift_range:
        problems.append("the model's range of redshift is missing")
    # Another version may have other settings, and made the digest of its own.
    same_version = run.program == f"photoz-run {__version__}"
    if (
        not problems
        and same_version
        and _config_digest(run.config) not in (None, run.config_digest)
    ):
        problems.append("the configuration is not the one of its digest")
    if same_version and provenance.science_cut != ScienceCut():
        problems.append("the mask NOT_FOR_SCIENCE is another one")
    for tile in provenance.tiles:
        problems += _lacking(tile)
    problems += wrong_cards(provenance.options.cards)
    files = sum(len(tile.inputs) for tile in provenance.tiles)
    good = (
        f"model, configuration, version, commit, {counted(files, 'input file')} of"
        f" {counted(len(provenance.tiles), 'tile')}"
    )
    return verdict("provenance complete", problems, good)


def check_accounting(provenance: ReleaseProvenance) -> Check:
    """Add up the rows of every tile and of all."""
    accounts = [tile.account for tile in provenance.tiles]
    problems = []
    for account in accounts:
        try:
            account.check()
        except ConfigError as error:
            problems.append(str(error).partition(";")[0])
    sums = totals(accounts)
    stated = asdict(provenance.accounting)
    for name, number in asdict(sums).items():
        if stated[name] != number:
            problems.append(
                f"{name}: the tiles add up to {number:,}, the total says {stated[name]}"
            )
    if provenance.rows != sums.released:
        problems.append(f"{provenance.rows:,} rows are stated, {sums.released:,} were released")
    if provenance.duplicates.rows_left_out != sums.duplicates:
        problems.append("the number of duplicates is not that of the tiles")
    for table in provenance.attached:
        if table.matched + table.unmatched != provenance.rows:
            problems.append("the sources with and without an attached row are not all sources")
    good = f"{sums.catalogue:,} rows of catalogues, {sums.released:,} released"
    return verdict("accounting", problems, good)


def check_partial(folder: Path, provenance: ReleaseProvenance) -> Check:
    """See whether a partial release says so and names what it lacks; the README does too."""
    missing = {missing.tile for missing in provenance.missing}
    lacking = {tile.tile for tile in provenance.tiles if tile.status not in FINISHED}
    problems = []
    for tile in sorted(lacking - missing):
        problems.append(f"{tile} has no result and is not said to be missing")
    for tile in sorted(missing - lacking):
        problems.append(f"{tile} is said to be missing and has a result")
    if provenance.partial and not provenance.options.partial:
        problems.append("it is partial, and --partial was not asked for")
    if provenance.partial != bool(lacking):
        problems.append(
            f"partial is {provenance.partial}, but without a result are"
            f" {counted(len(lacking), 'tile')}"
        )
    if ("This release is partial" in (folder / "README.md").read_text()) != bool(lacking):
        problems.append("README.md says otherwise whether the release is partial")
    good = "no tile is missing"
    if lacking:
        good = f"partial: {counted(len(lacking), 'missing tile')}, and said to be"
    return verdict("completeness", problems, good)


def check_companions(folder: Path, provenance: ReleaseProvenance) -> Iterator[Check]:
    """Make the README and its like again and compare; another build words them otherwise."""
    for name, text_of in COMPANIONS.items():
        check = name.removesuffix(".md")
        same = (folder / name).read_text() == text_of(provenance)
        if same or same_build(provenance):
            problems = [] if same else [f"{name} is not what provenance.json makes of it"]
            yield verdict(check, problems, "follows from it")
        else:
            build = f"{provenance.program}, commit {provenance.commit}"
            yield Check(
                check, None, f"not proven: {build} made it, and this build words it otherwise"
            )


def _lacking(tile: TileFacts) -> list[str]:
    """What is not known of one tile."""
    problems = []
    if not SHA256.fullmatch(tile.inputs_digest):
        problems.append(f"{tile.tile}: the digest of its inputs is no sha256")
    if tile.status == Status.DONE:
        if not SHA256.fullmatch(tile.tile_file_sha256):
            problems.append(f"{tile.tile}: the sha256 of its file is missing")
        if not tile.inputs or any(file.bytes < 0 for file in tile.inputs):
            problems.append(f"{tile.tile}: an input file is missing")
    return problems


def _config_digest(config: Mapping[str, Any]) -> str | None:
    """The digest of a configuration, ``None`` if another version with other settings wrote it."""
    if not set(RESULT_FIELDS) <= set(config):
        return None
    return settings_digest(config)
