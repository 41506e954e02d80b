"""The files of a release: all there, none more, none changed, FITS files as their sums say."""

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from photoz_run.release.companions import COMPANIONS
from photoz_run.release.folder import PROVENANCE, SIGNATURE, SUMS
from photoz_run.release.proof.check import Check, verdict
from photoz_run.release.proof.file_sums import present_files
from photoz_run.release.provenance import ProductFacts, ReleaseProvenance
from photoz_run.release.rows import IN_PARTS, WHOLE

ALWAYS = (*COMPANIONS, PROVENANCE, SUMS)
NAMESPACE = "file"
"""What the signature is for, in the words of ssh-keygen."""
HATS_FILES = re.compile(
    r"collection\.properties|[^/]+_photoz\.properties"
    r"|[^/]+/(properties|hats\.properties|partition_info\.csv|skymap\.fits|point_map\.fits)"
    r"|[^/]+/dataset/(_metadata|_common_metadata)"
    r"|[^/]+/dataset/Norder=\d+/Dir=\d+/Npix=\d+\.parquet"
)
"""The files of a HATS collection by their path in it."""
FORMATS = {WHOLE: "parquet", IN_PARTS: "parquet", ".fits": "fits", "_hats": "hats"}
"""The name in ``--formats`` of what holds the catalogue, by the end of its name."""
PDFS = "_pdf.hdf5"
AREA = "_moc.fits"
CHANGES = "_changes.parquet"


def strange_places(folder: Path) -> list[str]:
    """Links, folders without a file, and what is neither file nor folder: a release has none."""
    problems = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            problems.append(f"{name} is a link")
        elif path.is_dir() and not any(path.iterdir()):
            problems.append(f"{name} is an empty folder")
        elif not path.is_dir() and not path.is_file():
            problems.append(f"{name} is neither a file nor a folder")
    return problems


def check_signature(folder: Path) -> Iterator[Check]:
    """Whether the signature of the sums, if there is one, is of these sums; and by which key."""
    if not (folder / SIGNATURE).is_file():
        return
    if shutil.which("ssh-keygen") is None:
        yield Check("signature", None, "not checked: ssh-keygen is not installed")
        return
    command = ["ssh-keygen", "-Y", "check-novalidate", "-n", NAMESPACE, "-s", SIGNATURE]
    with (folder / SUMS).open("rb") as sums:
        result = subprocess.run(
            command, cwd=folder, stdin=sums, capture_output=True, text=True, check=False
        )
    told = " ".join((result.stdout or result.stderr).split())
    bad = f"it does not sign the sums that lie beside it: {told}"
    good = f"{told}; compare the key with the authors'"
    yield verdict("signature", [bad] if result.returncode else [], good)


def check_sums(folder: Path, sums: Mapping[str, str]) -> Iterator[Check]:
    """Compare the files with ``SHA256SUMS``; ``sums`` has the sha256 of all that there are."""
    listed, malformed = read_sums(folder)
    missing = [f"{name} is missing" for name in sorted(set(listed) - set(sums))]
    yield verdict("files present", malformed + missing, f"all {len(listed):,} files of {SUMS}")
    strangers = [f"{name} is not in {SUMS}" for name in sorted(set(sums) - set(listed))]
    strangers += strange_places(folder)
    yield verdict("no other files", strangers, "none")
    changed = [
        f"{name} has another sha256"
        for name, digest in sorted(sums.items())
        if listed.get(name, digest) != digest
    ]
    yield verdict("sha256 of the files", changed, "as listed")
    yield from check_signature(folder)


def read_sums(folder: Path) -> tuple[dict[str, str], list[str]]:
    """The sha256 of each file by ``SHA256SUMS``, and what is wrong with its lines."""
    listed: dict[str, str] = {}
    problems = []
    for number, line in enumerate((folder / SUMS).read_text().splitlines(), start=1):
        digest, _, name = line.partition("  ")
        if len(digest) == 64 and _lies_within(name) and name not in listed:
            listed[name] = digest
        else:
            problems.append(f"{SUMS} line {number} names no file of the release")
    return listed, problems


def _lies_within(name: str) -> bool:
    """Whether a name is a path that does not lead out of the folder."""
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts


def check_products(folder: Path, provenance: ReleaseProvenance) -> Check:
    """Compare the files with the products: each is there, and each file belongs to one.

    The products are those that were asked for, each with the rows of the catalogue.
    """
    paths = [product.path for product in provenance.products]
    problems = [f"{path} is missing" for path in paths if not (folder / path).exists()]
    for name in present_files(folder):
        if name not in ALWAYS and not any(_belongs(name, path) for path in paths):
            problems.append(f"{name} belongs to no product")
    problems += _unasked(provenance)
    return verdict("products", problems, ", ".join(paths))


def _unasked(provenance: ReleaseProvenance) -> Iterator[str]:
    """Products that contradict what was asked for, or say other rows than the catalogue has."""
    asked = Counter(set(provenance.options.formats))
    named = {product.path.removeprefix(provenance.name): product for product in provenance.products}
    made = Counter(FORMATS[ending] for ending in named if ending in FORMATS)
    for name in dict.fromkeys(FORMATS.values()):
        if made[name] != asked[name]:
            yield f"{name} was asked for and is no product, or the reverse, or there are two"
    if (PDFS in named) != provenance.options.pdf:
        yield "PDFs were asked for and are no product, or the reverse"
    if (AREA in named) != (provenance.area_deg2 is not None):
        yield "the size of an area is stated and there is no MOC, or the reverse"
    if (CHANGES in named) != (provenance.update is not None):
        yield "an update was made and there is no list of changes, or the reverse"
    for ending, product in named.items():
        if ending == CHANGES:
            continue
        lost = provenance.flags.get("NO_REDSHIFT", 0) if ending == PDFS else 0
        expected = provenance.rows - lost if ending in (*FORMATS, PDFS) else None
        if product.rows != expected:
            yield f"{product.path} has {product.rows} rows by provenance.json, not {expected}"


def _belongs(name: str, product: str) -> bool:
    """Whether a file is a product, or one of the files that a product of several has."""
    if name == product:
        return True
    if not name.startswith(f"{product}/"):
        return False
    inside = name.removeprefix(f"{product}/")
    if product.endswith("_hats"):
        return HATS_FILES.fullmatch(inside) is not None
    return re.fullmatch(r"part-\d{4}\.parquet", inside) is not None


def fits_files(products: Sequence[ProductFacts]) -> list[str]:
    """The products that are FITS files."""
    return [product.path for product in products if product.path.endswith(".fits")]
