"""What one case tells the bench: a document on standard output."""

from dataclasses import dataclass

from photoz_models.documents import Record


@dataclass(frozen=True)
class Measured(Record):
    """Seconds of each repeat by action, their medians, and the peak memory of the process.

    ``bytes_read``: what storage gave while the first action ran for the first time.
    """

    seconds: tuple[tuple[float, ...], ...]
    medians: tuple[float, ...]
    peak_mib: int
    bytes_read: int = 0

    @property
    def peak(self) -> str:
        """The peak memory beside its target."""
        return f"{self.peak_mib:,} MiB (< 1,536)"
