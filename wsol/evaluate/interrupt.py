"""Ctrl-C, held until a part is done.

A KeyboardInterrupt that is raised inside compiled code or a callback comes out as another error there, or is lost.
"""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupt:
    """Within the context Ctrl-C is noted; calling the object raises it. A second Ctrl-C is raised where it comes."""

    def __init__(self) -> None:
        self._asked = False
        self._before: Any = None

    def __enter__(self) -> "Interrupt":
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # in the background of a script
        if threading.current_thread() is threading.main_thread() and not ignored:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def __call__(self) -> None:
        """A place where nothing is lost. KeyboardInterrupt: Ctrl-C came."""
        if self._asked:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
