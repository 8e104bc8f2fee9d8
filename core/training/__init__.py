"""The loop's parts; `core.loop` is what the stages call."""
