"""Two leagues with different learning rates side by side, as in a notebook: build the config, hand it to Tune."""

import ray
from ray import tune

from callbacks.self_play import SelfPlayCallback
from connectfour.config import load_settings
from connectfour.learning.ppo.algorithm import SelfPlayPPO, SelfPlayPPOConfig

ray.init(include_dashboard=False)

ENV_STEPS = 1_000_000

# Entropy is annealed over the run, so it has to know how long that is.
settings = load_settings(overrides=["stop.minutes=null", f"stop.env_steps={ENV_STEPS}"])
config = SelfPlayPPOConfig.from_settings(settings).callbacks(SelfPlayCallback)
# What RLlib configures can be searched as usual; each trial keeps its league in its own folder.
config.training(lr=tune.grid_search([1e-3, 3e-3]))

results = tune.Tuner(
    SelfPlayPPO,
    param_space=config,
    run_config=tune.RunConfig(
        stop={"env_steps": ENV_STEPS},
        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=True),
    ),
).fit()

best = results.get_best_result(metric="league_score", mode="max")
print(f"learning rate {best.config['lr']}: win rate {best.metrics['win_rate']:.2f}")
print(f"league of {best.metrics['league_size']}; checkpoint in {best.checkpoint.path}")
