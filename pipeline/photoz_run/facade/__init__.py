"""From Python: what ``import photoz_run as pz`` gives, beyond what other rooms have already.

``photoz_run/__init__.py`` says where each name stands, ``__init__.pyi`` says it to type checkers.
"""
