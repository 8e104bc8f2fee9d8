"""`python -m transfer CONFIG --backbone SOURCE`: transfer a backbone to a task and score it.

`torchrun --nproc-per-node N -m transfer -- CONFIG --backbone SOURCE` trains and tests on N devices.
"""

import sys
from collections.abc import Sequence

from core.interrupt import while_importing


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    with while_importing():
        from core.command import Command
        from eval.errors import EvalError
        from transfer.stage import Transfer, execute

    command = Command("transfer", Transfer, execute, several_processes=True, errors=EvalError)
    return command.main(argv)


if __name__ == "__main__":
    sys.exit(main())
