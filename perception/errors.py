"""The errors that this package raises: every one is a sentence its user can act on."""


class PerceptionError(Exception):
    """A perception module cannot do what was asked of it."""


class ModuleFailedError(PerceptionError):
    """A perception module raised or returned what it must not: a defect of the module, not of its input."""
