"""``Replay``: the shards as the learner sees them, with samples fetched ahead and dead shards replaced."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import ActorUnavailableError, GetTimeoutError, ObjectLostError, RayActorError
from safetensors.numpy import load_file, save_file
from typing_extensions import override

from connectfour.apex.options import ReplayOptions
from connectfour.apex.replay.request import Request
from connectfour.apex.replay.shard import Fields, ReplayShard, Sampled
from connectfour.apex.spans import Spans
from connectfour.cluster.offer import Waiting, shortage
from connectfour.cluster.traces import obituary
from connectfour.errors import NoProgressError
from connectfour.rllib.part import Part
from connectfour.settings.resources import actor_options
from connectfour.system.need import Need

_PAUSE_S = 0.2
_SECONDS_PER_LOOK = 1.0


@dataclass(frozen=True)
class Origin:
    """Where rows of a batch come from.

    Attributes:
        number: the shard's index.
        shard: its actor.
        ids: what the shard calls these transitions, (n,) int64.
        rows: where they are in the batch, (n,) int64.
    """

    number: int
    shard: Any
    ids: NDArray[np.int64]
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """N transitions from all shards, in random order.

    Attributes:
        columns: the transitions.
        weights: importance weights (N,) float32; the largest is 1.
        origins: where they come from.
        held: number of transitions in all shards.
        spans: how each shard has spent its time, by its number.
    """

    columns: Fields
    weights: NDArray[np.float32]
    origins: tuple[Origin, ...]
    held: int
    spans: tuple[tuple[int, Spans], ...]

    def __len__(self) -> int:
        """Return N."""
        return len(self.weights)


class Replay(Part):
    """Prioritized replay spread over Ray actors.

    A batch takes from each shard in proportion to the sum of its priorities, so a transition is drawn as often as if
    there were one shard. A shard that dies is replaced by an empty one: what it held is lost, and the actors fill it
    again. A shard that cannot be reached for the moment, or whose answer was lost on the way, is asked again.

    Attributes:
        replaced: numbers of the shards that were replaced, in order; the first shard is 1.
        refused: priorities that shards refused because their TD errors were not finite.
    """

    name = "replay"

    def __init__(
        self,
        options: ReplayOptions,
        seed: int = 0,
        *,
        patience: float = 120.0,
        say: Callable[[str], None] = lambda _: None,
        asked: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Start the shards.

        Args:
            options: their number, size and exponents.
            seed: of all random numbers.
            patience: seconds to wait for an answer before a shard counts as dead.
            say: gets a sentence for every shard that is replaced or waited for.
            asked: what each shard asks Ray for, by Ray's name of the resource; memory in bytes.
        """
        self._seed, self._patience, self._say = seed, patience, say
        self._rng = np.random.default_rng((seed, options.shards))
        self._options, self._asked = options, dict(asked)
        self._capacity = max(1, options.capacity // options.shards)
        self._requested: list[Request] = []
        self._updates: list[Request] = []
        self._count, self._beta = 0, 0.0
        self._totals = np.zeros(options.shards)
        self.replaced: list[int] = []
        self.refused = 0
        self.shards = [self._start(number) for number in range(options.shards)]

    def _start(self, number: int) -> Any:
        # A shard uses a fraction of a core: by default, Ray reserves none, so that small machines can train. SPREAD
        # also takes it out of the trial's placement group, which packs.
        actor = ray.remote(scheduling_strategy="SPREAD", **actor_options(self._asked))(ReplayShard)
        return actor.remote(self._capacity, self._options.alpha, (self._seed, number, len(self.replaced)))

    @override
    def built(self) -> None:
        """Wait until every shard has found a node.

        Raises:
            NoProgressError: that takes longer than the patience.
        """
        if not self._asked:
            return
        waiting, need = Waiting(self._say), Need("replay shard", "resources.replay", self._asked, len(self.shards))
        answers = [shard.describe.remote() for shard in self.shards]
        while len(ray.wait(answers, num_returns=len(answers), timeout=_SECONDS_PER_LOOK)[0]) < len(answers):
            if waiting.seconds >= self._patience:
                raise NoProgressError(
                    f"{need.all} have not found room for {self._patience:g} s: {shortage([need])}; lower "
                    f"{need.setting}, free some, or raise the patience (fault.patience)"
                )
            waiting.go_on(lambda: f"training is waiting for room for {need.all}: {shortage([need])}")

    def request(self, count: int, beta: float) -> None:
        """Let the shards draw ``count`` transitions, which ``collect`` returns with weights of exponent ``beta``."""
        self._count, self._beta = count, beta
        # Nothing is known of a shard that has not answered yet.
        known = self._totals if self._totals.any() else np.ones(len(self.shards))
        self._requested = self._draw(count, known)

    def _draw(self, count: int, totals: NDArray[np.float64]) -> list[Request]:
        """Ask every shard for its share of ``count`` transitions; one that gets none still says what it holds."""
        sizes = enumerate(self._deal(count, totals))
        return [Request.send(number, self.shards[number], "sample", size) for number, size in sizes]

    def _draw_again(self, count: int) -> list[Request]:
        """Ask those that hold transitions for ``count`` more; a shard that has just been replaced still starts."""
        sizes = enumerate(self._deal(count, self._totals))
        return [Request.send(number, self.shards[number], "sample", size) for number, size in sizes if size]

    def _deal(self, count: int, totals: NDArray[np.float64]) -> list[int]:
        ends = np.floor(count * np.cumsum(totals) / totals.sum() + self._rng.random()).astype(int)
        sizes: list[int] = np.diff(np.minimum(ends, count), prepend=0).tolist()
        return sizes

    @property
    def is_requested(self) -> bool:
        """Whether there is a batch to collect."""
        return bool(self._requested)

    def collect(self) -> Batch | None:
        """Wait for the transitions that were requested; None if all shards are empty.

        Where a shard holds less than expected or has died, the others make up for it.
        """
        self._read_updates()
        requested, self._requested = self._requested, []
        answers: list[tuple[Request, Sampled]] = []
        while requested:
            for request in requested:
                sampled: Sampled | None = self._answer(request)
                self._totals[request.number] = 0.0 if sampled is None else sampled.total
                if sampled is not None:
                    answers.append((request, sampled))
            missing = self._count - sum(len(sampled) for _, sampled in answers)
            requested = self._draw_again(missing) if missing and self._totals.any() else []
        filled = [(request, sampled) for request, sampled in answers if len(sampled)]
        return self._join(filled, answers) if filled else None

    def _join(self, filled: list[tuple[Request, Sampled]], answers: list[tuple[Request, Sampled]]) -> Batch:
        """Make a batch of the answers that hold transitions.

        The weight of a transition is ``(N P) ** -beta`` (Schaul et al. 2016), where all shards together hold N
        transitions, and P is its probability in its shard times the share of the batch that comes from there.
        """
        counts = np.zeros(len(self.shards))
        for request, sampled in filled:
            counts[request.number] += len(sampled)
        shares = counts / counts.sum()
        held = sum({request.number: sampled.held for request, sampled in answers}.values())
        weights = np.concatenate(
            [(held * shares[request.number] * sampled.probability) ** -self._beta for request, sampled in filled]
        )
        columns = {name: np.concatenate([each.columns[name] for _, each in filled]) for name in filled[0][1].columns}
        rows = np.arange(len(weights))
        if len(filled) > 1:
            # Minibatches are consecutive: each shall come from all shards.
            order = self._rng.permutation(len(weights))
            columns, weights = {name: array[order] for name, array in columns.items()}, weights[order]
            rows[order] = np.arange(len(weights))
        parts = np.split(rows, np.cumsum([len(sampled) for _, sampled in filled])[:-1])
        origins = tuple(
            Origin(request.number, request.shard, sampled.ids, part)
            for (request, sampled), part in zip(filled, parts, strict=True)
        )
        spans = tuple((request.number + 1, sampled.spans) for request, sampled in answers)
        return Batch(columns, (weights / weights.max()).astype(np.float32), origins, held, spans)

    def _answer(self, request: Request) -> Any:
        """Return what a shard answers; if it is lost for good, replace it and return None."""
        until = time.monotonic() + self._patience
        while True:
            try:
                return ray.get(request.answer, timeout=max(0.0, until - time.monotonic()))
            except (ActorUnavailableError, ObjectLostError):
                # The shard may well be alive: a connection broke, or its answer was stored on a node that is gone.
                if time.monotonic() >= until:
                    return self._replace(request, f"could not be reached for {self._patience:g} s")
                time.sleep(_PAUSE_S)
                request = request.repeat()
            except GetTimeoutError:
                return self._replace(request, f"has not answered for {self._patience:g} s")
            except RayActorError:
                return self._replace(request, f"died{obituary(request.shard)}")

    def _replace(self, request: Request, fate: str) -> None:
        """Let an empty shard take the place of one that is lost."""
        number = request.number
        if self.shards[number] is not request.shard:
            return
        ray.kill(request.shard)
        self.replaced.append(number + 1)
        self._totals[number] = 0.0
        self.shards[number] = self._start(number)
        self._say(f"replay shard {number + 1} {fate}: an empty one has taken its place")

    def update_priorities(self, batch: Batch, td_errors: NDArray[np.floating]) -> None:
        """Send the new TD errors (N,) of a batch to the shards that it came from; nothing waits for them."""
        self._updates += [
            Request.send(origin.number, origin.shard, "update_priorities", origin.ids, td_errors[origin.rows])
            for origin in batch.origins
        ]

    def _read_updates(self, *, wait: bool = False) -> None:
        """Read what the shards have answered to new priorities, so that no failure stays hidden."""
        if not self._updates:
            return
        answers = [update.answer for update in self._updates]
        ready, _ = ray.wait(answers, num_returns=len(answers), timeout=self._patience if wait else 0, fetch_local=False)
        done = set(ready)
        read, self._updates = (
            [update for update in self._updates if (update.answer in done) is answered] for answered in (True, False)
        )
        self.refused += sum(self._answer(update) or 0 for update in read)

    def describe(self) -> dict[str, float]:
        """Return the total size, the transitions ever added, and the bytes held; dead shards are replaced."""
        total: dict[str, float] = {"size": 0, "added": 0, "bytes": 0}
        for answer in self._ask_all("describe"):
            for name, value in (answer or {}).items():
                total[name] += value
        return total

    def _ask_all(self, method: str) -> list[Any]:
        """Return what every shard answers, None for those that are lost."""
        requests = [Request.send(number, shard, method) for number, shard in enumerate(self.shards)]
        return [self._answer(request) for request in requests]

    def clear(self) -> None:
        """Forget what was requested, and empty the shards."""
        self._read_updates(wait=True)
        self._requested = []
        self._totals[:] = 0.0
        self._ask_all("clear")

    @override
    def saved(self, folder: Path) -> None:
        """Write the contents into a checkpoint if it shall hold them: a file per shard; one that died is left out."""
        if not self._options.in_checkpoints:
            return
        folder /= self.name
        folder.mkdir(parents=True, exist_ok=True)
        for number, state in enumerate(self._ask_all("get_state")):
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
                self._answer(Request.send(number, shard, "set_state", state))

    @override
    def close(self) -> None:
        """End the actors when they have done what was asked of them."""
        for shard in self.shards:
            shard.__ray_terminate__.remote()
