"""What can be wrong with a model bundle or with a training set."""


class BundleError(Exception):
    """Raised when a model bundle, or the runtime under it, cannot be used; the message is one clear line."""


class TrainingError(Exception):
    """Raised when a training set or a checkpoint cannot be used; the message is one clear line."""
