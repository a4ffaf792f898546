"""What Python's archive modules raise over a damaged or hostile file: more than errors of their own."""

import errno
import lzma
import struct
import tarfile
import zipfile
import zlib

#: Their parsing does not look at what it reads: a number too large for a clock, a name in no encoding, an
#: index beyond a header, headers in headers without end, a dictionary larger than the memory.
#: ``RuntimeError`` stands for encryption, for methods that nobody implements, and for recursion.
ARCHIVE_DAMAGE: tuple[type[Exception], ...] = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ArithmeticError,
    LookupError,
    MemoryError,
    RuntimeError,
    ValueError,
)


def is_archive_damage(error: OSError) -> bool:
    """Whether an error is the contents' and not the disk's.

    gzip and bz2 raise :class:`OSError` without a number. A position that no file can have (``EINVAL``) is
    read out of an archive too; disks refuse with that number only names, which are then in the error.
    """
    return error.errno is None or (error.errno == errno.EINVAL and error.filename is None)
