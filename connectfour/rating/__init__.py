"""Skills from results: the joint posterior, sequential TrueSkill, and their likelihoods. Mathematics only."""
