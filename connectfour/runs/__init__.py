"""Everything that a run keeps on disk: its folder, progress rows, checkpoints, curves. No Ray, no Torch."""
