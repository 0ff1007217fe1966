"""Who plays whom while training: the pool of opponents, matchmaking, snapshots. No Ray, no Torch."""
