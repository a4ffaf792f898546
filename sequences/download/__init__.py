"""Getting data sets onto a disk: fetching with resume, checksums, room on the disk, unpacking."""

from sequences.download.dataset_download import (
    WORK_FOLDER,
    DownloadReport,
    download,
)
from sequences.download.errors import DownloadError
from sequences.download.options import DownloadOptions, Patience, Progress

__all__ = [
    "WORK_FOLDER",
    "DownloadError",
    "DownloadOptions",
    "DownloadReport",
    "Patience",
    "Progress",
    "download",
]
