"""``Replay``: the shards as the learner sees them, with samples fetched ahead and dead shards replaced."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import RayActorError
from safetensors.numpy import load_file, save_file
from typing_extensions import override

from connectfour.apex.options import ReplayOptions
from connectfour.apex.replay.shard import Fields, ReplayShard, Sampled
from connectfour.apex.spans import Spans
from connectfour.rllib.parts import Part


@dataclass(frozen=True)
class Batch:
    """N transitions from all shards.

    Attributes:
        columns: the transitions.
        weights: importance weights (N,) float32; the largest is 1.
        origin: the actor that each run of rows came from, with the ids of these transitions.
        held: number of transitions in all shards.
        spans: how each of these actors has spent its time, by its number.
    """

    columns: Fields
    weights: NDArray[np.float32]
    origin: tuple[tuple[Any, NDArray[np.int64]], ...]
    held: int
    spans: tuple[tuple[int, Spans], ...]

    def __len__(self) -> int:
        """Return N."""
        return len(self.weights)


class Replay(Part):
    """Prioritized replay spread over Ray actors.

    A shard that dies is replaced by an empty one: what it held is lost, and the actors fill it again.

    Attributes:
        replaced: numbers of the shards that were replaced, in order; the first shard is 1.
    """

    name = "replay"

    def __init__(self, options: ReplayOptions, seed: int = 0) -> None:
        """Start the shards."""
        self._seed = seed
        self._options = options
        self._capacity = max(1, options.capacity // options.shards)
        self._requested: list[tuple[int, Any, int, float, ray.ObjectRef]] = []
        self.replaced: list[int] = []
        self.shards = [self._start(number) for number in range(options.shards)]

    def _start(self, number: int) -> Any:
        # A shard uses a fraction of a core: Ray reserves none, so that small machines can train.
        actor = ray.remote(num_cpus=0)(ReplayShard)
        return actor.remote(self._capacity, self._options.alpha, self._seed + number + 1000 * len(self.replaced))

    def request(self, count: int, beta: float) -> None:
        """Let the shards draw ``count`` transitions, which ``collect`` returns."""
        sizes = np.diff(np.linspace(0, count, len(self.shards) + 1).astype(int)).tolist()
        for number, (shard, size) in enumerate(zip(self.shards, sizes, strict=True)):
            if size:
                self._requested.append((number, shard, size, beta, shard.sample.remote(size, beta)))

    @property
    def is_requested(self) -> bool:
        """Whether there is a batch to collect."""
        return bool(self._requested)

    def collect(self) -> Batch | None:
        """Wait for the transitions that were requested; None if all shards are empty.

        Where a shard is empty or has died, the others make up for it.
        """
        requested, self._requested = self._requested, []
        answers: list[tuple[int, Any, Sampled]] = []
        missing = 0
        for number, shard, size, _, reference in requested:
            sampled = self._answer(number, shard, reference)
            if sampled is None:
                missing += size
            else:
                answers.append((number, shard, sampled))
        if not answers:
            return None
        if missing:
            number, shard, _ = answers[0]
            sampled = self._answer(number, shard, shard.sample.remote(missing, requested[0][3]))
            if sampled is not None:
                answers.append((number, shard, sampled))
        names = answers[0][2].columns
        columns = {name: np.concatenate([sampled.columns[name] for _, _, sampled in answers]) for name in names}
        weights = np.concatenate([sampled.weights for _, _, sampled in answers])
        origin = tuple((shard, sampled.ids) for _, shard, sampled in answers)
        spans = tuple((number + 1, sampled.spans) for number, _, sampled in answers)
        held = sum({number: sampled.held for number, _, sampled in answers}.values())
        return Batch(columns, weights / weights.max(), origin, held, spans)

    def _answer(self, number: int, shard: Any, reference: ray.ObjectRef) -> Any:
        """Return what a shard answers; if it has died, replace it and return None."""
        try:
            return ray.get(reference)
        except RayActorError:
            if self.shards[number] is shard:
                self.replaced.append(number + 1)
                self.shards[number] = self._start(number)
            return None

    def update_priorities(self, batch: Batch, td_errors: NDArray[np.floating]) -> None:
        """Send the new TD errors (N,) of a batch to the shards that it came from; nothing waits for them."""
        start = 0
        for shard, ids in batch.origin:
            shard.update_priorities.remote(ids, td_errors[start : start + len(ids)])
            start += len(ids)

    def describe(self) -> dict[str, float]:
        """Return the total size, the transitions ever added, and the bytes held; dead shards are replaced."""
        total: dict[str, float] = {"size": 0, "added": 0, "bytes": 0}
        asked = [(number, shard, shard.describe.remote()) for number, shard in enumerate(self.shards)]
        for number, shard, reference in asked:
            for name, value in (self._answer(number, shard, reference) or {}).items():
                total[name] += value
        return total

    def clear(self) -> None:
        """Forget what was requested, and empty the shards."""
        self._requested = []
        for number, shard in enumerate(self.shards):
            self._answer(number, shard, shard.clear.remote())

    @override
    def saved(self, folder: Path) -> None:
        """Write the contents into a checkpoint if it shall hold them: a file per shard; one that died is left out."""
        if not self._options.in_checkpoints:
            return
        folder /= self.name
        folder.mkdir(parents=True, exist_ok=True)
        for number, shard in enumerate(self.shards):
            state: Fields | None = self._answer(number, shard, shard.get_state.remote())
            if state is not None:
                arrays = {name: np.ascontiguousarray(array) for name, array in state.items()}
                save_file(arrays, folder / f"shard_{number}.safetensors")

    @override
    def before_restore(self, folder: Path) -> None:
        """Drop everything: what is replayed from now on follows from the checkpoint."""
        self.clear()

    @override
    def restored(self, folder: Path) -> None:
        """Read the contents that a checkpoint holds; if the number of shards has changed, they are dealt out again."""
        states = [load_file(file) for file in sorted((folder / self.name).glob("shard_*.safetensors"))]
        for number, shard in enumerate(self.shards):
            parts = [state for index, state in enumerate(states) if index % len(self.shards) == number]
            filled = [part for part in parts if len(part["weight"])]
            if filled:
                state = {name: np.concatenate([part[name] for part in filled]) for name in filled[0]}
                ray.get(shard.set_state.remote(state))

    @override
    def close(self) -> None:
        """End the actors when they have done what was asked of them."""
        for shard in self.shards:
            shard.__ray_terminate__.remote()
