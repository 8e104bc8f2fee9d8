"""Two processes as torchrun starts them, forked from one that has imported torch: `python -m tests.pretrain.ranks ARGS`.

Prints each rank's exit code, and leaves each one's output to the common streams.
"""

import os
import socket
import sys


def main(argv: list[str], ranks: int = 2) -> int:
    """Run `python -m pretrain ARGS` in every rank; the largest exit code."""
    import torchvision  # noqa: F401  # what the children would import each

    from pretrain import together  # noqa: F401
    from pretrain.__main__ import main as pretrain

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    children = []
    for rank in range(ranks):
        if (child := os.fork()) == 0:
            here = {**common, "RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "TORCHELASTIC_RUN_ID": "test"}
            os.environ.update({name: str(value) for name, value in here.items()})
            code = pretrain(argv)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    sys.stdout.write(f"exit codes {codes}\n")
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
