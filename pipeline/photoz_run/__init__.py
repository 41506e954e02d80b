"""photoz-run: stream survey tiles past a sealed photo-z network into a catalogue that can prove how it was made."""

__version__ = "0.1.0"
