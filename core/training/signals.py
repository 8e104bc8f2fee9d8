"""What the outside asks of a training under way: SIGTERM to save and stop, SIGUSR1 to save and go on."""

import signal
from types import TracebackType
from typing import Any

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name))


class Signals:
    """A context that notes signals; after it the handlers are as before. Outside the main thread it notes nothing."""

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
        except ValueError:  # not the main thread: then whoever owns it sees to signals
            self._before.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: object) -> None:
        if number != signal.SIGTERM:
            self.save = True
            return
        self.stop = True
        if self.at_once:
            raise KeyboardInterrupt
