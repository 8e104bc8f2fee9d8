"""What the outside asks of a training under way: SIGTERM or Ctrl-C to save and stop, SIGUSR1 to save and go on."""

import signal
from types import TracebackType
from typing import Any

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name))


class Signals:
    """A context that notes signals; after it the handlers are as before. Outside the main thread it notes nothing.

    A second Ctrl-C does not wait for the step. Where Ctrl-C is not Python's own to handle, it is left as it is.
    """

    def __init__(self) -> None:
        self.stop = False
        """A stop was asked for."""
        self.save = False
        """A checkpoint was asked for."""
        self.at_once = False
        """Whether a stop may come at any moment: where a checkpoint holds all that there is."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        try:
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._note)
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._note)
        except ValueError:  # not the main thread: then whoever owns it sees to signals
            self._before.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: object) -> None:
        if number not in (signal.SIGTERM, signal.SIGINT):
            self.save = True
            return
        again = self.stop and number == signal.SIGINT
        self.stop = True
        if self.at_once or again:
            raise KeyboardInterrupt
