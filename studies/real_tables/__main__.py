"""Other methods and the network of magnitudes on public tables: docs/real-tables.md.

``python -m studies.real_tables --work DIR --peers PYTHON --json FILE --markdown FILE``
(``make real-tables`` makes the environment whose Python ``--peers`` is, and calls it)
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from photoz_models.documents import document_text
from photoz_models.errors import PhotozError
from photoz_run.version import package_versions, program_commit
from studies.real_tables.page import RealTables, as_page
from studies.real_tables.sources import SOURCES
from studies.real_tables.study import PEERS, Study, measured


def command_line() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = argparse.ArgumentParser(prog="python -m studies.real_tables")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="keeps answers")
    parser.add_argument("--peers", required=True, metavar="PYTHON", help="of the other methods")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    parser.add_argument("--markdown", type=Path, required=True, metavar="FILE")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Write the tables as JSON and as a page."""
    options = command_line().parse_args(argv)
    tables = [measured(Study(source, options.work, options.peers)) for source in SOURCES]
    asked = subprocess.run([options.peers, PEERS, "versions"], check=True, stdout=subprocess.PIPE)
    document = RealTables(
        commit=program_commit(),
        date=datetime.now(UTC).date().isoformat(),
        versions={**package_versions(["torch"]), **json.loads(asked.stdout)},
        tables=tuple(tables),
    )
    options.json.write_text(document_text(document), encoding="utf-8")
    options.markdown.write_text(as_page(document), encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except PhotozError as error:
        sys.exit(f"studies.real_tables: {error}")
