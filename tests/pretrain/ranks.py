"""Two processes as torchrun has them, forked from one that has imported torch: `python -m tests.pretrain.ranks FILE`.

FILE: JSON, a list of argument lists of `python -m pretrain`, run one after the other. After each a line is printed with
the ranks' exit codes; their output goes to the common streams.
"""

import json
import os
import socket
import sys
from pathlib import Path


def call(argv: list[str], ranks: int = 2) -> list[int]:
    """`python -m pretrain ARGS` in every rank."""
    from pretrain.__main__ import main

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    children = []
    for rank in range(ranks):
        if (child := os.fork()) == 0:
            here = {**common, "RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "TORCHELASTIC_RUN_ID": "test"}
            os.environ.update({name: str(value) for name, value in here.items()})
            code = main(argv)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


if __name__ == "__main__":
    import pretrain.together  # noqa: F401  # once, instead of in every rank

    for words in json.loads(Path(sys.argv[1]).read_text()):
        codes = call(words)
        sys.stdout.write(f"exit codes {codes}\n")
        sys.stdout.flush()
