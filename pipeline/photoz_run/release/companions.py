"""The files of a release that follow from its provenance: made once, made again to prove them."""

from collections.abc import Callable, Mapping

from photoz_run.release import citation, w3c_prov
from photoz_run.release.provenance import ReleaseProvenance
from photoz_run.release.readme import readme

COMPANIONS: Mapping[str, Callable[[ReleaseProvenance], str]] = {
    "README.md": readme,
    citation.NAME: citation.citation,
    w3c_prov.NAME: w3c_prov.w3c_prov,
}
"""Name of the file, and what makes its text of the provenance."""
