"""Sources of views by name; found through entry points, ours like anybody's."""

from perception.training.configuration import DataChoice, TrainingConfigurationError
from perception.training.views import ViewSource
from sequences.registry import Registry

VIEW_SOURCES: Registry[ViewSource] = Registry(
    "slam_harness.view_sources",
    "source of views",
    ViewSource,  # type: ignore[type-abstract]
)


def make_source(choice: DataChoice, key: str) -> ViewSource:
    """The source that a configuration names.

    Args:
        choice: Its name and parameters.
        key: Where it stands in the configuration, for messages.

    Raises:
        TrainingConfigurationError: There are no such parameters.
        SequenceError: There is no such source, or its data is not there.
    """
    kind = VIEW_SOURCES.load(choice.kind)
    try:
        return kind(**choice.parameters)
    except TypeError as error:
        raise TrainingConfigurationError(f"{key}.parameters of '{choice.kind}': {error}") from error
