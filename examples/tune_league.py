"""Search a learning rate, a network width and a freeze threshold with ASHA; each trial trains its own league.

python examples/tune_league.py --trials 8 --env-steps 2000000
"""

import argparse

from ray import tune
from ray.tune.schedulers import ASHAScheduler

import connectfour as cf


def search(trials: int, env_steps: int, overrides: list[str], storage: str | None = None) -> tune.ResultGrid:
    """Run the search; trials that play worse on solved positions are stopped early."""
    # Learning rate and entropy are annealed over the run, so its length belongs to the settings.
    settings = cf.load_settings(overrides=["stop.minutes=null", f"stop.env_steps={env_steps}", *overrides])
    config = cf.SelfPlayPPOConfig.from_settings(settings)
    # RLlib's own options are searched as usual, the settings of league and network by their dotted names.
    config.training(lr=tune.loguniform(1e-3, 5e-3))
    config.search({"network.width": tune.choice([256, 512]), "league.win_rate_threshold": tune.uniform(0.6, 0.8)})
    return tune.Tuner(
        cf.SelfPlayPPO,
        param_space=config,
        tune_config=tune.TuneConfig(
            num_samples=trials,
            metric="value_preserving",
            mode="max",
            scheduler=ASHAScheduler(time_attr="env_steps", max_t=env_steps, grace_period=max(1, env_steps // 8)),
        ),
        run_config=tune.RunConfig(
            name="tune_league",
            storage_path=storage,
            stop={"env_steps": env_steps},
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=True),
        ),
    ).fit()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=4, help="how many leagues to train")
    parser.add_argument("--env-steps", type=int, default=1_000_000, help="env steps of a full trial")
    parser.add_argument("-p", metavar="KEY=VALUE", action="append", default=[], help="override a setting")
    parser.add_argument("--address", help="Ray cluster; by default Ray runs on this machine")
    arguments = parser.parse_args()

    cf.start_ray(arguments.address)
    best = search(arguments.trials, arguments.env_steps, arguments.p).get_best_result()
    print(f"best: {best.config['searched']}, learning rate {best.config['lr']:.2g}")
    print(f"keeps the result in {best.metrics['value_preserving']:.3f} of solved positions (dev half)")
    print(f"play against it: connectfour play --opponent checkpoint:{best.checkpoint.path}")
