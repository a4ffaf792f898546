"""What can keep a backbone from being built."""

from perception.errors import PerceptionError


class MissingPackageError(PerceptionError):
    """A package that networks need is not installed."""

    def __init__(self, package: str):
        super().__init__(
            f"the network needs the package '{package}', which is not installed: "
            "pip install 'slam-harness[m2hmx]'"
        )


class BackboneError(PerceptionError):
    """A backbone cannot be built as asked, or gives no feature maps."""
