"""How a command ends: Ctrl-C, while its modules are imported too, and what a user can mend are a line, no traceback."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

from core.errors import UserError

STOPPED = 128 + signal.SIGINT
"""The exit code of what Ctrl-C stopped: 130."""


def exit_code(work: Callable[[], None]) -> int:
    """Do a small command's work, which goes on where it was stopped.

    Returns the exit code: 0 done, 2 something the user can mend, 130 stopped; the last two with a line on stderr.
    """
    try:
        work()
    except (UserError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("stopped; the same command goes on\n")
        return STOPPED
    return 0


@contextlib.contextmanager
def while_importing() -> Iterator[None]:
    """SIGINT ends the process at once with one line and the code 130; nothing has begun that could be lost.

    A KeyboardInterrupt would not do: an extension's import turns it into an ImportError, or swallows it. Where SIGINT
    is ignored (a script's background job), or is another's already, it stays so.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(*_: object) -> None:
    os.write(2, b"stopped before the work began\n")  # not print: its buffer may be in use just now
    os._exit(STOPPED)
