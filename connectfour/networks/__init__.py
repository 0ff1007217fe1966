"""Policy and value networks in Torch: features of a board, encoders, heads and masked logits."""
