"""How to cite a release, for programs: CITATION.cff (Citation File Format 1.2.0)."""

import re
from typing import Any

import yaml

from photoz_run.release.provenance import ReleaseProvenance
from photoz_run.wording import counted

NAME = "CITATION.cff"
DOI = re.compile(r"10\.\d{4,9}/\S+")


def citation(provenance: ReleaseProvenance) -> str:
    """The text of the file; it follows from the provenance alone.

    Authors that were not given are named as those of the release.
    """
    authors = provenance.authors or (f"The authors of {provenance.name}",)
    content: dict[str, Any] = {
        "cff-version": "1.2.0",
        "message": "If you use these redshifts, please cite them as below.",
        "type": "dataset",
        "title": f"Photometric redshifts: {provenance.name}",
        "version": provenance.name,
        "authors": [{"name": name} for name in authors],
        "date-released": provenance.date[:10],
        "abstract": (
            f"Photometric redshifts of {counted(provenance.rows, 'source')} of KiDS"
            f" {' and '.join(provenance.input_releases)} by the model"
            f" {provenance.model.name} {provenance.model.version}."
        ),
    }
    identifier = _identifier(provenance.reference)
    if identifier:
        content["identifiers"] = [identifier]
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=90)
    return text


def _identifier(reference: str) -> dict[str, str] | None:
    """A DOI, or the bibcode of a publication."""
    doi = DOI.search(reference)
    if doi:
        return {"type": "doi", "value": doi[0]}
    if reference:
        return {"type": "other", "value": reference, "description": "bibcode of the publication"}
    return None
