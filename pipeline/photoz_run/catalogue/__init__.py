"""The only writer of catalogues."""
