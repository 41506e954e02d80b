"""How catalogues are written: the files of a tile, and what a release shares with them."""
