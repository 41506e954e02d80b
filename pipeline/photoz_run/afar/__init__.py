"""Tiles that lie on other machines: listed, fetched into a window on scratch, measured as any."""
