"""Columns beyond the dictionary, with types and nulls that every product and its readers have.

FITS has no null text beside the blank one. Truth values are numbers already when they are read
(`survey.columns`).
"""

import pyarrow as pa
import pyarrow.compute as pc

from photoz_run import schema
from photoz_run.catalogue.arrow_fields import is_text

KNOWN = {*schema.BY_NAME, schema.QUANTILES.name}


def plain_field(field: pa.Field) -> pa.Field:
    """The field of a column as a release writes it; those of the dictionary stay as they are."""
    if field.name in KNOWN:
        return field
    return field.with_type(pa.string()) if is_text(field.type) else field


def plain_rows(table: pa.Table) -> pa.Table:
    """Rows as a release writes them: blank texts and NaN are null."""
    for index, field in enumerate(table.schema):
        if field.name not in KNOWN:
            table = table.set_column(index, plain_field(field), _plain(table[field.name]))
    return table


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if is_text(column.type):
        texts = column.cast(pa.string())
        return pc.if_else(pc.equal(pc.utf8_trim_whitespace(texts), ""), None, texts)
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_nan(column), None, column)
    return column
