"""The command lines ``photoz-run`` and ``photoz``: arguments only. Heavy imports stay inside the commands."""


def main() -> None:
    """Entry point of ``photoz``; each sub-command's module is imported when it is used."""
    from pipeline.cli.photoz import main as photoz

    photoz()
