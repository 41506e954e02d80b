"""How a training goes on: a line an epoch with its losses, and a bar below them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from photoz_models.training import Epoch


class EpochLines:
    """One line an epoch with the time that is left; on a terminal a bar below them."""

    def __init__(self, networks: int, epochs: int):
        from rich.console import Console
        from rich.progress import Progress

        self.networks = networks
        self.epochs = epochs
        self.network = 0
        self.start = 0.0
        """When the first epoch of this network ended, in seconds of the monotonic clock."""
        self.done = 0
        """Epochs since then."""
        console = Console()
        self.bar = Progress(console=console, disable=not console.is_terminal, transient=True)
        self.task = self.bar.add_task("", total=1.0)

    def epoch(self, network: int, epoch: "Epoch") -> None:
        """Print the line of ``epoch`` of network number ``network``."""
        from time import monotonic

        if network != self.network:
            self.network, self.start, self.done = network, monotonic(), 0
            self.bar.console.print("network  epoch      loss  validation      SMAD   minutes left")
        left = "-"
        if self.done:
            minutes_an_epoch = (monotonic() - self.start) / self.done / 60
            left = f"{minutes_an_epoch * (self.epochs - epoch.epoch):.1f}"
        self.done += 1
        place = f"{network:3d}/{self.networks:<3d}{epoch.epoch:4d}/{self.epochs:<4d}"
        losses = f"{epoch.train_loss:9.4f}{epoch.validation_loss:12.4f}"
        line = f"{place}{losses}{epoch.validation_smad:10.5f}{left:>15}"
        self.bar.console.print(line, highlight=False)

    def batch(self, network: int, share: float) -> None:
        """Move the bar of the epoch."""
        self.bar.update(self.task, completed=share, description=f"network {network}, epoch")
