"""The provenance of a release as W3C PROV in JSON, which the IVOA's provenance model builds on.

Entities are the release, its tiles' files, the model and the catalogues that came in; activities
are the run and the merging; agents are the programs. ``provenance.json`` says more.
"""

import json
from typing import Any

from photoz_run.release.provenance import ReleaseProvenance, TileFacts

NAME = "prov.json"
PREFIX = {
    "prov": "http://www.w3.org/ns/prov#",
    "voprov": "http://www.ivoa.net/documents/ProvenanceDM/voprov/",
    "photoz": "urn:photoz-run:",
}


def w3c_prov(provenance: ReleaseProvenance) -> str:
    """The text of the file; it follows from the provenance alone."""
    release, model = f"photoz:release/{provenance.name}", f"photoz:model/{provenance.model.digest}"
    run, merge = f"photoz:run/{provenance.run.run_digest}", f"photoz:merge/{provenance.name}"
    tiles = [tile for tile in provenance.tiles if tile.tile_file_sha256]
    files = [f"photoz:tile/{tile.tile}" for tile in tiles]
    inputs = {f"photoz:input/{file.name}": file.bytes for tile in tiles for file in tile.inputs}
    document: dict[str, Any] = {
        "prefix": PREFIX,
        "entity": {
            release: {"prov:label": provenance.name, "photoz:rows": provenance.rows},
            model: {
                "prov:label": f"{provenance.model.name} {provenance.model.version}",
                "photoz:sha256": provenance.model.digest,
            },
            **{name: _tile_entity(tile) for name, tile in zip(files, tiles, strict=True)},
            **{name: {"photoz:bytes": size} for name, size in inputs.items()},
        },
        "activity": {
            run: {"prov:label": "redshifts measured"},
            merge: {"prov:label": "tiles merged", "prov:endTime": f"{provenance.date}+00:00"},
        },
        "agent": {
            "photoz:measured-by": _program(provenance.run.program, provenance.run.commit),
            "photoz:merged-by": _program(provenance.program, provenance.commit),
        },
        "used": _numbered(
            "used",
            [
                {"prov:activity": run, "prov:entity": model},
                *({"prov:activity": run, "prov:entity": name} for name in inputs),
                *({"prov:activity": merge, "prov:entity": name} for name in files),
            ],
        ),
        "wasGeneratedBy": _numbered(
            "wasGeneratedBy",
            [
                *({"prov:entity": name, "prov:activity": run} for name in files),
                {"prov:entity": release, "prov:activity": merge},
            ],
        ),
        "wasAssociatedWith": _numbered(
            "wasAssociatedWith",
            [
                {"prov:activity": run, "prov:agent": "photoz:measured-by"},
                {"prov:activity": merge, "prov:agent": "photoz:merged-by"},
            ],
        ),
        "wasDerivedFrom": _numbered(
            "wasDerivedFrom",
            [
                *(
                    {"prov:generatedEntity": release, "prov:usedEntity": name}
                    for name in (model, *files)
                ),
                *_derived_tiles(files, tiles),
            ],
        ),
    }
    return json.dumps(document, indent=1) + "\n"


def _tile_entity(tile: TileFacts) -> dict[str, Any]:
    return {
        "prov:label": tile.tile,
        "photoz:sha256": tile.tile_file_sha256,
        "photoz:rows": tile.measured + tile.flagged,
    }


def _derived_tiles(files: list[str], tiles: list[TileFacts]) -> list[dict[str, str]]:
    return [
        {"prov:generatedEntity": name, "prov:usedEntity": f"photoz:input/{file.name}"}
        for name, tile in zip(files, tiles, strict=True)
        for file in tile.inputs
    ]


def _program(name: str, commit: str) -> dict[str, Any]:
    kind = {"$": "prov:SoftwareAgent", "type": "prov:QUALIFIED_NAME"}
    return {"prov:type": kind, "prov:label": name, "photoz:commit": commit}


def _numbered(kind: str, relations: list[dict[str, str]]) -> dict[str, dict[str, str]]:
    """Relations of one kind under names that the document has once."""
    return {f"_:{kind}{number}": relation for number, relation in enumerate(relations, start=1)}
