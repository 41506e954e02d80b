"""A bundle of magnitudes over a table: its columns, block by block, into one file."""
