"""Score maps on disk, in any of the ways that people save them: `source.open_source`. No torch."""
