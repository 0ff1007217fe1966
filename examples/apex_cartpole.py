"""Train CartPole-v1 with Ape-X: the same actors, replay shards and learner as in the league.

python examples/apex_cartpole.py --actors 2 --output cartpole.png
"""

import argparse
import math
import sys
import time
from dataclasses import dataclass, field

import matplotlib.pyplot as plt

import connectfour as cf


@dataclass
class Curve:
    """One point per iteration: minutes, env steps, and the mean return of the last 20 episodes."""

    minutes: list[float] = field(default_factory=list)
    env_steps: list[int] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)

    def draw(self, file: str, goal: float) -> None:
        """Draw the learning curve as a PNG file."""
        figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), sharey=True, layout="constrained")
        for axis, values, label in zip(axes, (self.env_steps, self.minutes), ("env steps", "minutes"), strict=True):
            axis.plot(values, self.returns, color="#0072b2")
            axis.axhline(goal, color="gray", linewidth=0.8, linestyle="--")
            axis.set_xlabel(label)
            axis.grid(alpha=0.3)
        axes[0].set_ylabel("return, mean of the last 20 episodes")
        figure.suptitle("Ape-X on CartPole-v1")
        figure.savefig(file, dpi=110)


def configure(actors: int, seed: int) -> cf.ApexConfig:
    """Return the configuration; everything else keeps its default."""
    config = cf.ApexConfig()
    config.environment("CartPole-v1")
    config.env_runners(num_env_runners=actors, num_envs_per_env_runner=8)
    config.training(anneal_env_steps=300_000, lr_end=1e-4)
    config.debugging(seed=seed, log_level="ERROR")
    return config


def train(config: cf.ApexConfig, goal: float, minutes: float) -> Curve:
    """Train until the mean return reaches ``goal`` or the time is up, with a live line."""
    algorithm = config.build_algo()
    curve, start, shown = Curve(), time.monotonic(), 0.0
    on_terminal = sys.stdout.isatty()
    try:
        # Until 20 episodes have ended, their mean is NaN.
        while not curve.returns or (not curve.returns[-1] >= goal and curve.minutes[-1] < minutes):
            result = algorithm.train()
            env_runners, seconds = result["env_runners"], time.monotonic() - start
            curve.minutes.append(seconds / 60)
            curve.env_steps.append(int(env_runners["num_env_steps_sampled_lifetime"]))
            curve.returns.append(float(env_runners.get("episode_return_mean", math.nan)))
            updates = algorithm.updates
            if seconds - shown > (0.5 if on_terminal else 5):
                shown = seconds
                line = (
                    f"{seconds:5.0f} s  {curve.env_steps[-1]:>9,} env steps ({curve.env_steps[-1] / seconds:,.0f}/s)  "
                    f"return {curve.returns[-1]:5.1f}  replay {int(result['replay_buffer']['size']):,}  "
                    f"{updates / seconds:,.0f} updates/s"
                )
                print(line, end="\r" if on_terminal else "\n", flush=True)
    except KeyboardInterrupt:
        print("\nstopped")
    finally:
        algorithm.stop()
    return curve


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--actors", type=int, default=2, help="number of actors, 8 environments each")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument("--goal", type=float, default=475, help="mean return of 20 episodes at which training ends")
    parser.add_argument("--minutes", type=float, default=10, help="minutes after which training ends")
    parser.add_argument("--output", default="cartpole.png", help="PNG file of the learning curve")
    parser.add_argument("--address", help="Ray cluster (auto: the one on this machine); by default Ray starts here")
    arguments = parser.parse_args()

    cf.start_ray(arguments.address, cpus=1 + arguments.actors)
    try:
        curve = train(configure(arguments.actors, arguments.seed), arguments.goal, arguments.minutes)
    except cf.ConfigError as error:
        sys.exit(f"apex_cartpole: {error}")
    curve.draw(arguments.output, arguments.goal)
    last = f"{curve.env_steps[-1]:,} env steps and {curve.minutes[-1]:.1f} minutes"
    print(f"\nreturn {curve.returns[-1]:.1f} after {last}; learning curve: {arguments.output}")
