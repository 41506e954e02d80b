"""The list of products: each is a writer and a judge in modules of one name."""

import inspect
from pathlib import Path

import pytest

from photoz_run.errors import ConfigError
from photoz_run.release import products, proof
from photoz_run.release.listing import PRODUCTS, chosen
from photoz_run.release.options import ReleaseOptions

NAMES = ["parquet", "fits", "hats", "pdf", "area", "changes"]
PRODUCTS_FOLDER, PROOF_FOLDER = (Path(package.__path__[0]) for package in (products, proof))


def module_name(thing) -> str:
    return inspect.getmodule(thing).__name__.rpartition(".")[2]


def test_every_product_is_written_and_proven_by_modules_of_its_name():
    assert [module_name(product.writer.write) for product in PRODUCTS] == NAMES
    assert [module_name(product.judge) for product in PRODUCTS] == NAMES
    written = {path.stem for path in PRODUCTS_FOLDER.glob("*.py") if "WRITER" in path.read_text()}
    judged = {path.stem for path in PROOF_FOLDER.glob("*.py") if "Judge(Judge)" in path.read_text()}
    assert written == judged == set(NAMES)


def test_no_two_products_have_one_place():
    assert len({product.writer.ending for product in PRODUCTS}) == len(PRODUCTS)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ["parquet", "fits", "area"]),
        ({"formats": ("parquet",)}, ["parquet", "area"]),
        ({"update": Path("old")}, ["parquet", "fits", "area", "changes"]),
        ({"formats": ("hats", "parquet"), "pdf": True}, ["parquet", "hats", "pdf", "area"]),
    ],
)
def test_a_release_has_the_products_that_were_asked_for(options, names):
    writers = chosen(ReleaseOptions("name", **options))
    assert [module_name(writer.write) for writer in writers] == names


def test_a_format_that_is_not_known_is_refused():
    with pytest.raises(ConfigError, match="--formats csv: not known; the formats are parquet,"):
        chosen(ReleaseOptions("name", formats=("parquet", "csv")))
