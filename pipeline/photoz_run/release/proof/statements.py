"""What ``provenance.json`` and the README say: complete, in agreement with each other, and sums that close."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from photoz_run import __version__
from photoz_run.catalogue.provenance import Provenance
from photoz_run.catalogue.release_record import ReleaseRecord
from photoz_run.config import RESULT_FIELDS
from photoz_run.errors import ConfigError
from photoz_run.records import Status
from photoz_run.release.accounting import COUNTS, TileAccount, totals
from photoz_run.release.proof.check import Check, verdict
from photoz_run.release.readme import readme

SHA256 = re.compile("[0-9a-f]{64}")
TEXTS = ("name", "program", "commit", "date")
FINISHED = (Status.DONE.value, Status.NO_WORK.value)


def check_complete(made: Mapping[str, Any]) -> Check:
    """Look for what a release must say of its making."""
    digests = {
        "model digest": made["model"]["digest"],
        "run digest": made["run"]["run_digest"],
        "configuration digest": made["run"]["config_digest"],
    }
    texts = {name: made[name] for name in TEXTS}
    texts |= {"model name": made["model"]["name"], "model version": made["model"]["version"]}
    texts |= {
        "program of the run": made["run"]["program"],
        "commit of the run": made["run"]["commit"],
    }
    problems = [f"{name} is missing" for name, text in texts.items() if not text]
    problems += [
        f"{name} is no sha256"
        for name, digest in digests.items()
        if not SHA256.fullmatch(str(digest))
    ]
    if not made["model"]["redshift_range"]:
        problems.append("the model's range of redshift is missing")
    if not problems and _config_digest(made["run"]["config"]) not in (
        None,
        digests["configuration digest"],
    ):
        problems.append("the configuration is not the one of its digest")
    for tile in made["tiles"]:
        problems += _lacking(tile)
    files = sum(len(tile["inputs"]) for tile in made["tiles"])
    good = f"model, configuration, version, commit, {files:,} input files of {len(made['tiles']):,} tiles"
    return verdict("provenance complete", problems, good)


def check_accounting(made: Mapping[str, Any]) -> Check:
    """Add up the rows of every tile and of all."""
    accounts = [
        TileAccount(one["tile"], one["status"], *(one[name] for name in COUNTS))
        for one in made["tiles"]
    ]
    problems = []
    for account in accounts:
        try:
            account.check()
        except ConfigError as error:
            problems.append(str(error).partition(";")[0])
    sums = totals(accounts)
    problems += [
        f"{name}: the tiles add up to {number:,}, the total says {made['accounting'].get(name)}"
        for name, number in sums.items()
        if made["accounting"].get(name) != number
    ]
    if made["rows"] != sums["released"]:
        problems.append(f"{made['rows']:,} rows are stated, {sums['released']:,} were released")
    if made["duplicates"]["rows_left_out"] != sums["duplicates"]:
        problems.append("the number of duplicates is not that of the tiles")
    return verdict(
        "accounting",
        problems,
        f"{sums['catalogue']:,} rows of catalogues, {sums['released']:,} released",
    )


def check_partial(folder: Path, made: Mapping[str, Any]) -> Check:
    """See whether a partial release says so and names what it lacks; the README does too."""
    missing = {one["tile"] for one in made["missing"]}
    lacking = {one["tile"] for one in made["tiles"] if one["status"] not in FINISHED}
    problems = [
        f"{tile} has no result and is not said to be missing" for tile in sorted(lacking - missing)
    ]
    problems += [
        f"{tile} is said to be missing and has a result" for tile in sorted(missing - lacking)
    ]
    if bool(made["partial"]) != bool(lacking):
        problems.append(f"partial is {made['partial']}, but {len(lacking)} tiles have no result")
    if ("This release is partial" in (folder / "README.md").read_text()) != bool(lacking):
        problems.append("README.md says otherwise whether the release is partial")
    good = (
        f"partial: {len(lacking):,} tiles are missing, and said to be"
        if lacking
        else "no tile is missing"
    )
    return verdict("completeness", problems, good)


def check_readme(folder: Path, made: Mapping[str, Any]) -> Check:
    """Make the README again and compare; another version of the program words it otherwise."""
    if made["program"] != f"photoz-run {__version__}":
        return Check(
            "README", True, f"not compared: it is by {made['program']}, this is {__version__}"
        )
    same = (folder / "README.md").read_text() == readme(made)
    return verdict(
        "README",
        [] if same else ["README.md is not what provenance.json makes of it"],
        "follows from it",
    )


def record_of(made: Mapping[str, Any]) -> ReleaseRecord:
    """The record from which every file of a release gets its statements."""
    program, _, version = str(made["run"]["program"]).rpartition(" ")
    model = made["model"]
    run = Provenance(
        program=program,
        version=version,
        commit=made["run"]["commit"],
        packages=made["run"]["packages"][0],
        run_digest=made["run"]["run_digest"],
        config_digest=made["run"]["config_digest"],
        model=model["name"],
        model_version=model["version"],
        model_digest=model["digest"],
        model_training=model["training"],
        simulated_training=model["simulated_training"],
    )
    by_status = {
        status: tuple(one["tile"] for one in made["tiles"] if one["status"] == status)
        for status in {one["status"] for one in made["tiles"]}
    }
    return ReleaseRecord(
        name=made["name"],
        run=run,
        program=made["program"],
        commit=made["commit"],
        date=made["date"],
        input_releases=tuple(made["input_releases"]),
        tiles=len(by_status.get(Status.DONE.value, ())),
        missing=by_status.get("PENDING", ()),
        quarantined=by_status.get(Status.QUARANTINED.value, ()),
        reference=made["reference"],
    )


def _lacking(tile: Mapping[str, Any]) -> list[str]:
    """What is not known of one tile."""
    problems = []
    if not SHA256.fullmatch(tile["inputs_digest"]):
        problems.append(f"{tile['tile']}: the digest of its inputs is no sha256")
    if tile["status"] == Status.DONE.value:
        if not SHA256.fullmatch(tile["tile_file_sha256"]):
            problems.append(f"{tile['tile']}: the sha256 of its file is missing")
        if not tile["inputs"] or any(file["bytes"] < 0 for file in tile["inputs"]):
            problems.append(f"{tile['tile']}: an input file is missing")
    return problems


def _config_digest(config: Mapping[str, Any]) -> str | None:
    """The digest of a configuration, ``None`` if it is one of another version of the program, with other settings."""
    if not set(RESULT_FIELDS) <= set(config):
        return None
    return hashlib.sha256(
        json.dumps({name: config[name] for name in RESULT_FIELDS}, sort_keys=True).encode()
    ).hexdigest()
