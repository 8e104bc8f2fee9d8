"""Pack a data set's images into shards, once, for a fast input: `python -m core.data.prepare`, docs/packing.md."""
