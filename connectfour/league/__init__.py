"""Who plays whom during training: the pool of opponents, matchmaking, snapshots. No Ray, no Torch."""
