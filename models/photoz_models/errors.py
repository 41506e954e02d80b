"""The root of all errors, and what can be wrong with a bundle, a training set or a document."""


class PhotozError(Exception):
    """Base of every error that has an explanation; the message is one clear line.

    ``exit_code`` is what a command tells the shell. Arguments are positional, so that an error
    survives pickling between worker and driver.
    """

    exit_code: int = 1


class BundleError(PhotozError):
    """Raised when a model bundle, or the runtime under it, cannot be used."""

    exit_code = 2


class NoGpuError(BundleError):
    """Raised when CUDA was asked for and cannot be used here."""


class TrainingError(PhotozError):
    """Raised when a training set or a checkpoint cannot be used."""

    exit_code = 2


class DocumentError(PhotozError):
    """Raised when a document of the program does not fit its record."""

    exit_code = 2
