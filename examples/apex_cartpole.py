"""Train CartPole-v1 with Ape-X: the same actors, replay shards and learner as in the league.

python examples/apex_cartpole.py --actors 2 --output cartpole.png
python examples/apex_cartpole.py --resume    # after Ctrl-C, go on from the last checkpoint
"""

import argparse
import json
import math
import shutil
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import matplotlib.pyplot as plt

import connectfour as cf

SECONDS_BETWEEN_CHECKPOINTS = 30.0


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


def save(algorithm: cf.Apex, curve: Curve, folder: Path) -> None:
    """Save a checkpoint with the curve so far, and remove the one before."""
    checkpoint = folder.resolve() / f"iteration_{algorithm.iteration:06d}"
    algorithm.save_to_path(str(checkpoint))
    unfinished = checkpoint / "curve.json.tmp"
    unfinished.write_text(json.dumps(asdict(curve)))
    unfinished.rename(checkpoint / "curve.json")
    for older in checkpoint.parent.glob("iteration_*"):
        if older != checkpoint:
            shutil.rmtree(older)


def restore(algorithm: cf.Apex, folder: Path) -> Curve:
    """Restore the newest checkpoint in ``folder``, and return its curve; a kill may have left one without a curve."""
    checkpoint = max(folder.resolve().glob("iteration_*/curve.json"), default=None)
    if checkpoint is None:
        raise cf.ConfigError(f"{folder} holds no checkpoint to resume from: leave out --resume")
    algorithm.restore_from_path(str(checkpoint.parent))
    return Curve(**json.loads(checkpoint.read_text()))


def train(
    config: cf.ApexConfig, goal: float, minutes: float, checkpoints: Path | None = None, *, resume: bool = False
) -> Curve:
    """Train until the mean return reaches ``goal`` or the time is up, with a live line.

    Checkpoints go to a folder, if there is one: after the first iteration, every 30 seconds and at the end. ``resume``
    begins from the newest.
    """
    if checkpoints and not resume and any(checkpoints.glob("iteration_*")):
        raise cf.ConfigError(f"{checkpoints} holds checkpoints: add --resume, or choose another --checkpoints")
    algorithm, curve = config.build_algo(), Curve()
    try:
        if checkpoints and resume:
            curve = restore(algorithm, checkpoints)
        _train(algorithm, curve, goal, minutes, checkpoints)
    except KeyboardInterrupt:
        print("\nstopped")
    finally:
        algorithm.stop()
    return curve


def _train(algorithm: cf.Apex, curve: Curve, goal: float, minutes: float, checkpoints: Path | None) -> None:
    before, start, shown, saved = 60 * (curve.minutes or [0.0])[-1], time.monotonic(), 0.0, -math.inf
    on_terminal = sys.stdout.isatty()
    try:
        # Until 20 episodes have ended, their mean is NaN.
        while not curve.returns or (not curve.returns[-1] >= goal and curve.minutes[-1] < minutes):
            result = algorithm.train()
            env_runners, part = result["env_runners"], time.monotonic() - start
            seconds = before + part
            curve.minutes.append(seconds / 60)
            curve.env_steps.append(int(env_runners["num_env_steps_sampled_lifetime"]))
            curve.returns.append(float(env_runners.get("episode_return_mean", math.nan)))
            if part - shown > (0.5 if on_terminal else 5):
                shown = part
                line = (
                    f"{seconds:5.0f} s  {curve.env_steps[-1]:>9,} env steps ({curve.env_steps[-1] / seconds:,.0f}/s)  "
                    f"return {curve.returns[-1]:5.1f}  replay {int(result['replay_buffer']['size']):,}  "
                    f"{algorithm.updates / part:,.0f} updates/s"
                )
                print(line, end="\r" if on_terminal else "\n", flush=True)
            if checkpoints and part - saved > SECONDS_BETWEEN_CHECKPOINTS:
                saved = part
                save(algorithm, curve, checkpoints)
    finally:
        if checkpoints and curve.returns:
            save(algorithm, curve, checkpoints)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--actors", type=int, default=2, help="number of actors, 8 environments each")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument("--goal", type=float, default=475, help="mean return of 20 episodes at which training ends")
    parser.add_argument("--minutes", type=float, default=10, help="minutes after which training ends")
    parser.add_argument("--output", default="cartpole.png", help="PNG file of the learning curve")
    parser.add_argument("--checkpoints", type=Path, default=Path("runs/cartpole"), help="folder of checkpoints")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint")
    parser.add_argument("--address", help="Ray cluster (auto: the one on this machine); by default Ray starts here")
    arguments = parser.parse_args()

    cf.start_ray(arguments.address, cpus=1 + arguments.actors)
    try:
        config = configure(arguments.actors, arguments.seed)
        curve = train(config, arguments.goal, arguments.minutes, arguments.checkpoints, resume=arguments.resume)
    except cf.ConnectFourError as error:
        sys.exit(f"apex_cartpole: {error}")
    if not curve.returns:
        sys.exit("apex_cartpole: stopped before the first iteration")
    curve.draw(arguments.output, arguments.goal)
    last = f"{curve.env_steps[-1]:,} env steps and {curve.minutes[-1]:.1f} minutes"
    print(f"\nreturn {curve.returns[-1]:.1f} after {last}; learning curve: {arguments.output}")
