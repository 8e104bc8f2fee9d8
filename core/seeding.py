"""Randomness as a function of what it is for: (seed, epoch, sample), (seed, step), (seed, image)."""

import hashlib


def derive(seed: int, *parts: int | str) -> int:
    """A 63-bit seed from a seed and the parts that say what it is for; the same on every machine and in every process.

    Parts are told apart by type and length, so that ("a", "b") and ("ab",) differ, as do 1 and "1".
    """
    text = "\x1f".join(
        [f"i{seed}", *(f"i{part}" if isinstance(part, int) else f"s{len(part)}:{part}" for part in parts)]
    )
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1
