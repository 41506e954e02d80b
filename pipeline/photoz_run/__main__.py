"""``python -m photoz_run`` is ``photoz``."""

from photoz_run.cli import main

main()
