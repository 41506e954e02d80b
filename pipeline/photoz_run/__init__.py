"""photoz-run: from survey tiles and a sealed network to a catalogue that proves how it was made."""

__version__ = "0.1.0"
