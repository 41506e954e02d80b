"""CITATION.cff and the W3C PROV document of a release are what their standards ask for."""

import json
from dataclasses import replace

import pytest
import yaml

from photoz_run.release.citation import citation
from photoz_run.release.provenance import read_provenance
from support.photoz import AGAIN, FIELD, OTHER


@pytest.fixture(scope="module")
def provenance(release):
    return read_provenance(release)


@pytest.mark.parametrize(
    ("reference", "identifiers"),
    [
        ("", None),
        ("doi:10.1051/0004-6361/202346730", [("doi", "10.1051/0004-6361/202346730")]),
        ("2024A&A...686A.170W", [("other", "2024A&A...686A.170W")]),
    ],
)
def test_the_citation_has_what_its_format_asks_for(provenance, reference, identifiers):
    content = yaml.safe_load(citation(replace(provenance, reference=reference)))
    assert {"cff-version", "message", "title", "authors"} <= set(content)
    assert (content["cff-version"], content["type"]) == ("1.2.0", "dataset")
    assert content["date-released"] == provenance.date[:10]
    assert content["authors"] == [{"name": "The authors of sim"}]
    here = content.get("identifiers")
    assert (here and [(one["type"], one["value"]) for one in here]) == identifiers


def test_the_citation_names_the_authors(provenance):
    content = yaml.safe_load(citation(replace(provenance, authors=("A. Ng", "E. Müller"))))
    assert content["authors"] == [{"name": "A. Ng"}, {"name": "E. Müller"}]


def test_the_provenance_document_relates_only_what_it_names(release):
    document = json.loads((release / "prov.json").read_text())
    named = {kind: set(document[kind]) for kind in ("entity", "activity", "agent")}
    assert {f"photoz:tile/{tile}" for tile in (FIELD, AGAIN, OTHER)} < named["entity"]
    prefixes = {name.partition(":")[0] for names in named.values() for name in names}
    assert prefixes <= set(document["prefix"])
    kinds = {
        "prov:entity": "entity",
        "prov:usedEntity": "entity",
        "prov:generatedEntity": "entity",
        "prov:activity": "activity",
        "prov:agent": "agent",
    }
    seen = []
    for relation in ("used", "wasGeneratedBy", "wasAssociatedWith", "wasDerivedFrom"):
        for name, ends in document[relation].items():
            seen.append(name)
            assert all(place in named[kinds[role]] for role, place in ends.items())
    assert len(seen) == len(set(seen)) > 20
