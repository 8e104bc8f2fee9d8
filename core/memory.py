"""What glibc does with memory that is freed: kept for the next step, or given back and faulted in page by page anew."""

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # of mallopt(3)
_AHEAD = 256 << 20  # bytes asked of the kernel at a time


def keep_freed() -> bool:
    """Let this process keep what it frees, whatever its size; its later forks too.

    glibc maps each large block anew and unmaps it when it is freed: a training step on the CPU then spends a third of
    its time on page faults. What is kept is never more than the process once needed, but for `_AHEAD`.

    Returns:
        Whether this C library can be told so; another than glibc is left as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all(mallopt(name, value) == 1 for name, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_TOP_PAD, _AHEAD)))
