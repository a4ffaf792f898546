"""How the C library keeps memory while a network is trained on the CPU."""

import ctypes
import platform

#: Numbers of the parameters in glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_GIBIBYTE = 2**30


def keep_freed_memory() -> None:
    """Let glibc keep memory that was freed, instead of giving it back and asking the kernel again.

    By default the memory of most large tensors goes back when they are freed, and the kernel must fill the
    pages of the next ones with zeros: hundreds of thousands in a step of m2hmx-nano, which
    `benchmarks/training_step.py` counts. Other C libraries are left as they are.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    if not mallopt(_MMAP_THRESHOLD, _GIBIBYTE):
        # Older versions keep nothing so large; setting the others alone would make matters worse.
        return
    mallopt(_TRIM_THRESHOLD, 2 * _GIBIBYTE - 1)
    mallopt(_TOP_PAD, _GIBIBYTE // 4)
