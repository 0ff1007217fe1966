"""Ape-X for RLlib (Horgan et al. 2018, "Distributed prioritized experience replay"); independent of any game or league.

Actors explore with different probabilities of a random action and send n-step transitions with initial priorities to a
replay spread over Ray actors. A double Q-learner samples from it and periodically broadcasts its weights.
"""
