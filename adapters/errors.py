"""The errors that this package raises: every one says what happened to which backend, and when."""


class AdapterError(Exception):
    """Something between the harness and a SLAM backend went wrong."""


class ProtocolViolationError(AdapterError):
    """A message breaks the protocol: wrong version, type, shape, order or content."""


class BackendReportedError(AdapterError):
    """The backend itself answered that it cannot go on, in its own words."""


class BackendDiedError(AdapterError):
    """The backend's process or container ended before its work did."""


class BackendTimeoutError(AdapterError):
    """The backend stayed silent longer than the limit of the phase it was in."""


class ResourceLimitError(AdapterError):
    """The backend took more memory than it was given and was stopped."""


class BackendUnavailableError(AdapterError):
    """The backend cannot run on this machine; the message says what it needs."""
