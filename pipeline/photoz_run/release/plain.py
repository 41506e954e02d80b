"""Columns beyond the dictionary, with types and nulls that every product and its readers have.

FITS has no null logical that astropy and fitsio would show, and no null text beside the blank one.
"""

import pyarrow as pa
import pyarrow.compute as pc

from photoz_run import schema
from photoz_run.catalogue.arrow_fields import about, is_text

LOGICAL = " (1 true, 0 false)"
"""What the description of a logical column says, which is written as a small integer."""
KNOWN = {*schema.BY_NAME, schema.QUANTILES.name}


def plain_field(field: pa.Field) -> pa.Field:
    """The field of a column as a release writes it; those of the dictionary stay as they are."""
    if field.name in KNOWN:
        return field
    if is_text(field.type):
        return field.with_type(pa.string())
    if pa.types.is_boolean(field.type):
        metadata = about(field)
        metadata["description"] = metadata.get("description", field.name) + LOGICAL
        return field.with_type(pa.int16()).with_metadata(metadata)
    return field


def plain_rows(table: pa.Table) -> pa.Table:
    """Rows as a release writes them: blank texts and NaN are null, logicals are 1 and 0."""
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
    if pa.types.is_boolean(column.type):
        return column.cast(pa.int16())
    return column
