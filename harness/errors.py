"""The errors that this package raises: every one is a sentence its user can act on."""


class HarnessError(Exception):
    """Something the user asked for cannot be done; the message says what to do about it."""


class ConfigurationError(HarnessError):
    """An option, a configuration file or a name is wrong. The command line exits with 2."""


class ResultsError(HarnessError):
    """A results directory is missing, unreadable, unwritable or of another schema."""


class EvaluationError(HarnessError):
    """A trajectory cannot be scored against ground truth; the message says why."""
