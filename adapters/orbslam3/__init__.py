"""ORB-SLAM3 through the package pyorbslam3: what the harness knows of it without importing it."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

from adapters.adapter import IMAGE_FOLDERS, Adapter, ResourceNeeds
from adapters.backend import BackendInputError, Capabilities, Mode
from adapters.errors import BackendUnavailableError
from adapters.importable import why_not_importable
from adapters.options import default_options, parse_options
from adapters.orbslam3.settings import OrbSlam3Options
from adapters.orbslam3.vocabulary_download import OFFICIAL_URL
from adapters.orbslam3.vocabulary_file import VocabularyError, VocabularyUnavailableError

_PACKAGE = "pyorbslam3"
_SYSTEM_LIBRARIES = "libgl1 libegl1 libopengl0 libsm6 libice6 libx11-6 libxext6"


def orbslam3_capabilities() -> Capabilities:
    """What ORB-SLAM3 can do; its threads race, so two runs differ by about a millimetre."""
    try:
        package_version = version(_PACKAGE)
    except PackageNotFoundError:
        package_version = "not installed"
    return Capabilities(
        name="orbslam3",
        version=f"{_PACKAGE} {package_version}",
        modes=(Mode.RGBD, Mode.MONO),
        deterministic=False,
    )


@dataclass(frozen=True)
class OrbSlam3UserOptions(OrbSlam3Options):
    """The backend's options and one that the adapter alone needs.

    Attributes:
        vocabulary_url: From where ``vocabulary: download`` fetches the official archive or a mirror of it.
    """

    vocabulary_url: str = OFFICIAL_URL


class OrbSlam3Adapter(Adapter):
    """ORB-SLAM3 in the modes ``rgbd`` and ``mono``. The options are :class:`OrbSlam3UserOptions`."""

    server = "adapters.orbslam3.backend:OrbSlam3Backend"
    image_folder = IMAGE_FOLDERS / "orbslam3"
    input_options = ("vocabulary",)
    needs = ResourceNeeds(cores=2, memory_bytes=4 * 1024**3)
    default_options: ClassVar[dict[str, Any]] = default_options(OrbSlam3UserOptions)

    def capabilities(self) -> Capabilities:
        """See :func:`orbslam3_capabilities`."""
        return orbslam3_capabilities()

    def missing(self) -> str | None:
        """The package, or the system libraries that it loads."""
        return why_not_importable(_PACKAGE, "orbslam3", _SYSTEM_LIBRARIES)

    def check_options(self, options: dict[str, Any]) -> None:
        """Types and ranges of :class:`OrbSlam3UserOptions`."""
        parse_options(OrbSlam3UserOptions, options)

    def prepare(self, options: dict[str, Any], cache_directory: Path) -> dict[str, Any]:
        """Finds, trains or downloads the vocabulary and puts its path into the options."""
        prepared = super().prepare(options, cache_directory)
        url = prepared.pop("vocabulary_url")
        # Only here, because training needs OpenCV, which the server side does not have.
        from adapters.orbslam3.vocabulary import obtain_vocabulary

        try:
            vocabulary = obtain_vocabulary(prepared["vocabulary"], cache_directory, url)
        except VocabularyUnavailableError as error:
            raise BackendUnavailableError(str(error)) from error
        except VocabularyError as error:
            raise BackendInputError(str(error)) from error
        return {**prepared, "vocabulary": str(vocabulary)}
