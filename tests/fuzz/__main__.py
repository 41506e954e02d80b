"""``make test-fuzz``: 10,000 corruptions, or as many as go into ten minutes."""

import sys
import tempfile
from collections import Counter
from pathlib import Path

from fuzz.campaign import campaign, is_bad
from fuzz.worker import prepare

NUMBER, SECONDS = 10_000, 600.0


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else NUMBER
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    ends: Counter[str] = Counter()
    bad = 0
    with tempfile.TemporaryDirectory(prefix="photoz-fuzz-") as name:
        prepare(Path(name))
        for result in campaign(Path(name), first, first + number, SECONDS):
            ends[result["end"]] += 1
            if is_bad(result):
                bad += 1
                print(result, flush=True)
    reached = sum(ends.values())
    late = f" of {number:,} within {SECONDS:.0f} s" if reached < number else ""
    print(f"{reached:,} corruptions{late}: {dict(ends)}; {bad} ended as none may")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
