"""Studies that remake figures and tables of the documentation; no part of the installed program.

They run from the top folder of a checkout, as ``python -m studies.NAME``.
"""
