"""Memory that is freed is kept: batches of a step cost page faults once."""

import os
import subprocess
import sys

from core.config import CHECKOUT
from core.memory import keep_freed

BATCHES = """
import resource, sys
import torch
from core.memory import keep_freed
if sys.argv[1] == "keep":
    assert keep_freed()
faults = []
for _ in range(40):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    batch = torch.zeros(8 << 20)  # 32 MiB: 8,192 pages
    del batch
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sum(faults[20:]))  # after every page that is kept was used once
"""


def test_a_second_batch_faults_no_page() -> None:
    if "CS_GNU_LIBC_VERSION" not in os.confstr_names:
        assert not keep_freed(), "another C library is left as it is"
        return
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}

    def faults(how: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", BATCHES, how], cwd=CHECKOUT, env=clean, capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    kept, given_back = faults("keep"), faults("as it is")
    assert given_back >= 20 * 8192, "the C library keeps it by itself: nobody needs this module"
    assert kept < given_back / 4
