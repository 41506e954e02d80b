"""Takes the lock of one run directory after the other at given times, and tells when it held them.

    python lock_racer.py FOLDER START ROUNDS SECONDS SEED

Each operation on a file of FOLDER takes a while, now and then a long one, as on a parallel file
system under load.
"""

import json
import random
import sys
import time
from contextlib import suppress
from pathlib import Path

from photoz_run.errors import ConfigError
from photoz_run.run.lock import RunLock


def main() -> None:
    """Race."""
    folder, start, rounds, seconds, seed = Path(sys.argv[1]), *map(float, sys.argv[2:])
    dice = random.Random(seed)

    def slow(event: str, arguments: tuple[object, ...]) -> None:
        if event in ("open", "os.rename", "os.link", "os.remove") and str(arguments[0]).startswith(
            str(folder)
        ):
            time.sleep(0.02 * dice.random() ** 3)

    sys.addaudithook(slow)
    for number in range(int(rounds)):
        time.sleep(max(0.0, start + number * seconds - time.time()))
        with suppress(ConfigError), RunLock(folder / str(number), (1, 1)):
            begin = time.monotonic()
            time.sleep(0.3 * seconds)
            print(json.dumps([number, begin, time.monotonic()]))


if __name__ == "__main__":
    main()
