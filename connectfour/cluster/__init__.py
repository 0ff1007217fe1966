"""Ray: on this machine, or on a cluster: connecting to it, its nodes, and what reaches them."""
