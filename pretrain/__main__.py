"""`python -m pretrain CONFIG [CONFIG ...]`: train a backbone, or several side by side from one stream of images.

`torchrun --nproc-per-node N -m pretrain -- CONFIG` trains one on N devices.
"""

import sys
from collections.abc import Sequence

from core.interrupt import while_importing


def main(argv: Sequence[str] | None = None) -> int:
    """Run the pretraining cells; returns the exit code."""
    with while_importing():
        from core.command import Command
        from pretrain.stage import Pretrain
        from pretrain.together import check, execute_together
        from pretrain.training import execute

    command = Command(
        "pretrain", Pretrain, execute, execute_together, check, several_processes=True, takes_backbone=False
    )
    return command.main(argv)


if __name__ == "__main__":
    sys.exit(main())
