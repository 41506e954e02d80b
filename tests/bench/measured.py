"""What one case tells the bench: a document on standard output."""

from dataclasses import dataclass

from photoz_models.documents import Record


@dataclass(frozen=True)
class Measured(Record):
    """Seconds of each repeat by action, their medians, and the peak memory of the process."""

    seconds: tuple[tuple[float, ...], ...]
    medians: tuple[float, ...]
    peak_mib: int

    @property
    def peak(self) -> str:
        """The peak memory beside its target."""
        return f"{self.peak_mib:,} MiB (< 1,536)"


@dataclass(frozen=True)
class Cold(Record):
    """Stamps from a cold storage by the plan, and by rows.

    Median seconds, bytes and pieces that the storage gave, and the median ratio of the seconds.
    """

    seconds: tuple[float, ...]
    bytes_served: tuple[int, ...]
    pieces: tuple[int, ...]
    ratio: float
