"""The errors that this package raises: every one is a sentence its user can act on."""


class PerceptionError(Exception):
    """A perception module cannot do what was asked of it."""
