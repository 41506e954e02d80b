"""``photoz flags``: the table of quality bits, and what a value means."""

from typing import Annotated

import typer


def flags(
    value: Annotated[
        int | None, typer.Argument(help="A PHOTOZ_FLAG value to decode.", metavar="VALUE")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a Markdown table.")] = False,
) -> None:
    """Print the quality bits of PHOTOZ_FLAG, or those set in VALUE."""
    from rich.console import Console
    from rich.table import Table

    from photoz_run.flags import (
        FLAGS,
        NOT_FOR_SCIENCE,
        NOT_FOR_SCIENCE_WORDS,
        USER_BITS,
        decode,
    )

    if value is not None:
        typer.echo(" ".join(decode(value)) or "no flag is set")
        return
    rows = [(str(flag.bit), str(flag.value), flag.name, flag.description) for flag in FLAGS]
    rows.append(("", str(NOT_FOR_SCIENCE), "NOT_FOR_SCIENCE", NOT_FOR_SCIENCE_WORDS))
    rows.append((f"{USER_BITS[0]}-{USER_BITS[-1]}", "", "", "never set by photoz-run: yours"))
    if markdown:
        typer.echo("| bit | value | name | set when |\n|---|---|---|---|")
        for row in rows:
            typer.echo(f"| {' | '.join(row)} |")
        return
    table = Table("bit", "value", "name", "set when", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console(highlight=False).print(table)
