"""Somebody else's network in a bundle: its specification, its graph, what is put around it."""
