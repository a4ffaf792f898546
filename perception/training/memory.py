"""How the C library keeps memory while a network is trained on the CPU."""

import ctypes
import platform

#: Numbers of the parameters in glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_GIBIBYTE = 2**30


def keep_freed_memory() -> None:
    """Let glibc keep memory that was freed, instead of giving it back and asking the kernel again.

    By default every large tensor is a mapping of its own, whose pages the kernel must fill with zeros each
    time; that took more of a step than the network did (benchmarks/training_step.py). Other C libraries are
    left as they are.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    for parameter, value in (
        (_MMAP_THRESHOLD, _GIBIBYTE),
        (_TRIM_THRESHOLD, 2 * _GIBIBYTE - 1),
        (_TOP_PAD, _GIBIBYTE // 4),
    ):
        mallopt(parameter, value)
