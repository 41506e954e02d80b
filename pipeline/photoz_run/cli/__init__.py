"""The command lines ``photoz-run`` and ``photoz``: what they are called, take and print.

Heavy imports stay inside the commands, so that help comes at once.
"""

import sys


def main() -> None:
    """Entry point of ``photoz``; each sub-command's module is imported when it is used."""
    from photoz_run.cli.photoz import main as photoz

    photoz()


def photoz_run() -> None:
    """Entry point of ``photoz-run``.

    From here on, before anything else is imported, a signal is an interruption.
    """
    from photoz_run.errors import InterruptedRunError
    from photoz_run.run.interruption import interruptible

    try:
        with interruptible():
            from photoz_run.cli.run import main as run

            run()
    except InterruptedRunError as error:
        print(f"photoz-run: {error}", file=sys.stderr)
        sys.exit(int(error.exit_code))
