"""Prioritized replay: sum tree, shards, and shards on Ray."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from ray.exceptions import ActorUnavailableError

from connectfour.apex.options import ReplayOptions
from connectfour.apex.replay.replay import Origin, Replay
from connectfour.apex.replay.shard import ReplayShard
from connectfour.apex.replay.sum_tree import SumTree
from connectfour.apex.replay.writer import ReplayWriter
from connectfour.apex.spans import Spans
from tests.leagues import wait_for_death


def rows(*numbers: int) -> dict[str, Any]:
    """Transitions that can be told apart by a number."""
    return {"number": np.array(numbers), "pair": np.stack([np.array(numbers)] * 2, axis=1).astype(np.uint64)}


def filled(capacity: int, priorities: list[float], alpha: float = 1.0) -> ReplayShard:
    shard = ReplayShard(capacity, alpha)
    shard.add(rows(*range(len(priorities))), np.array(priorities))
    return shard


class TestSumTree:
    """Drawing in proportion to weights."""

    @pytest.mark.parametrize("capacity", [1, 2, 5, 64, 1000])
    def test_sums_whatever_is_set_in_whatever_order(self, capacity: int) -> None:
        """In ranges and at random, with indices that occur twice."""
        rng = np.random.default_rng(capacity)
        tree, expected = SumTree(capacity), np.zeros(capacity)
        for _ in range(50):
            indices = rng.integers(capacity, size=rng.integers(1, 40))
            if rng.random() < 0.5:
                indices = np.unique(indices)
            weights = rng.random(len(indices))
            tree[indices] = weights
            expected[indices] = weights
            np.testing.assert_array_equal(tree[:], expected)
            assert tree.total == pytest.approx(expected.sum())

    def test_draws_in_proportion_to_the_weights(self) -> None:
        """Each leaf as often as its share of the total, give or take one per stratum."""
        weights = np.array([1.0, 0.0, 3.0, 6.0, 0.0, 2.0])
        tree = SumTree(len(weights))
        tree[np.arange(len(weights))] = weights
        drawn = np.bincount(tree.draw(12_000, np.random.default_rng(0)), minlength=len(weights))
        np.testing.assert_allclose(drawn, weights * 1000, atol=2)

    def test_draws_in_random_order(self) -> None:
        """The strata are not visible in the order."""
        tree = SumTree(1000)
        tree[np.arange(1000)] = np.ones(1000)
        drawn = tree.draw(1000, np.random.default_rng(0))
        assert abs(np.corrcoef(np.arange(1000), drawn)[0, 1]) < 0.1

    def test_leaves_without_weight_are_never_drawn(self) -> None:
        """Not even by rounding, and not past the last leaf."""
        rng = np.random.default_rng(1)
        tree = SumTree(37)
        some = np.array([0, 5, 17, 36])
        tree[some] = rng.random(4) * 1e-12
        assert set(tree.draw(100_000, rng).tolist()) <= set(some.tolist())

    def test_nothing_to_draw_is_an_error(self) -> None:
        """There is no proportion to nothing."""
        with pytest.raises(ValueError, match="all weights are zero"):
            SumTree(4).draw(1, np.random.default_rng(0))


class TestShard:
    """One part of the replay."""

    def test_the_newest_transitions_stay(self) -> None:
        """In a ring that is written across its end, in batches smaller and larger than it."""
        shard = ReplayShard(10, 0.0)
        for start, count in ((0, 7), (7, 7), (14, 25), (39, 3)):
            shard.add(rows(*range(start, start + count)), np.ones(count))
            sampled = shard.sample(1000)
            newest = set(range(max(0, start + count - 10), start + count))
            assert set(sampled.columns["number"].tolist()) == newest
            np.testing.assert_array_equal(sampled.columns["pair"][:, 1], sampled.columns["number"])

    def test_probabilities(self) -> None:
        """Priorities to the power alpha."""
        priorities = np.array([1.0, 4.0, 9.0, 16.0])
        shard = filled(8, priorities.tolist(), alpha=0.5)
        sampled = shard.sample(10_000)
        assert sampled is not None
        probability = np.sqrt(priorities) / np.sqrt(priorities).sum()
        drawn = np.bincount(sampled.columns["number"], minlength=4) / 10_000
        np.testing.assert_allclose(drawn, probability, atol=1e-3)
        np.testing.assert_allclose(sampled.probability, probability[sampled.columns["number"]], rtol=1e-4)
        assert sampled.total == pytest.approx(10)

    def test_new_priorities_count(self) -> None:
        """By the ids of a sample."""
        shard = filled(4, [1.0, 1.0, 1.0, 1.0])
        sampled = shard.sample(4)
        shard.update_priorities(sampled.ids, np.where(sampled.columns["number"] == 2, 1e6, 0.0))
        again = shard.sample(1000)
        assert np.mean(again.columns["number"] == 2) > 0.99

    def test_priorities_of_overwritten_transitions_are_skipped(self) -> None:
        """They belong to other transitions by now."""
        shard = filled(4, [1.0, 1.0, 1.0, 1.0])
        sampled = shard.sample(100)
        shard.add(rows(4, 5), np.ones(2))
        shard.update_priorities(sampled.ids, np.full(100, 1e6))
        again = shard.sample(1000)
        assert set(again.columns["number"].tolist()) <= {2, 3}

    def test_an_empty_shard_has_nothing(self) -> None:
        """It says so instead of failing."""
        sampled = ReplayShard(4, 0.6).sample(3)
        assert (len(sampled), sampled.held, sampled.total) == (0, 0, 0.0)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_td_errors_that_are_not_finite_are_refused(self, bad: float) -> None:
        """One of them would make every draw return row 0 with weights that are not numbers."""
        shard = ReplayShard(8, 1.0)
        assert shard.add(rows(0, 1, 2), np.array([1.0, bad, 1.0])) == 1
        sampled = shard.sample(1000)
        assert set(sampled.columns["number"].tolist()) == {0, 2}
        assert shard.update_priorities(sampled.ids[:2], np.array([bad, 1.0])) == 1
        again = shard.sample(1000)
        assert np.isfinite(again.probability).all()
        assert set(again.columns["number"].tolist()) == {0, 2}

    def test_memory_is_bounded(self) -> None:
        """All of it is there after the first batch."""
        shard = filled(1000, [1.0])
        first = shard.describe()["bytes"]
        for _ in range(30):
            shard.add(rows(*range(100)), np.ones(100))
        assert shard.describe() == {"size": 1000, "added": 3001, "bytes": first}

    @pytest.mark.parametrize("capacity", [10, 6])
    def test_its_state_brings_it_back(self, capacity: int) -> None:
        """With priorities; a smaller shard keeps the newest transitions."""
        shard = ReplayShard(10, 1.0)
        shard.add(rows(*range(14)), np.arange(14) + 1.0)
        copy = ReplayShard(capacity, 1.0)
        copy.add(rows(99), np.ones(1))
        copy.set_state(shard.get_state())
        state, expected = copy.get_state(), shard.get_state()
        for name, array in state.items():
            np.testing.assert_array_equal(array, expected[name][-capacity:])


@pytest.fixture
def replay(ray_session: None) -> Iterator[Replay]:
    """Two shards on Ray."""
    made = Replay(ReplayOptions(shards=2, capacity=200, in_checkpoints=True))
    yield made
    made.close()


def fill(replay: Replay, first: int = 0) -> None:
    for number, shard in enumerate(replay.shards):
        ray.get(shard.add.remote(rows(*range(first + 100 * number, first + 100 * number + 50)), np.ones(50)))


def nonsense(origin: Origin) -> Origin:
    """Return an origin that names more rows than there are transitions."""
    return dataclasses.replace(origin, ids=origin.ids[:1], rows=np.zeros((1, 2), np.int64))


def kill(replay: Replay, number: int) -> Any:
    """Kill a shard, and wait until it is dead."""
    shard = replay.shards[number]
    ray.kill(shard)
    wait_for_death(shard)
    return shard


class TestReplay:
    """The shards together."""

    def test_a_batch_comes_from_all_shards(self, replay: Replay) -> None:
        """In equal parts if nothing is known of them yet, in random order, with weights up to 1."""
        fill(replay)
        replay.request(40, 0.4)
        batch = replay.collect()
        assert batch is not None
        assert len(batch) == 40
        assert sum(batch.columns["number"] < 100) == 20
        assert 0 < sum(batch.columns["number"][:20] < 100) < 20
        assert batch.weights.max() == 1

    def test_it_draws_as_if_there_were_one_shard(self, replay: Replay) -> None:
        """A shard with few or unlikely transitions gets a small part of each batch, and weights undo the priorities."""
        first, second = replay.shards
        ray.get(first.add.remote(rows(*range(90)), np.full(90, 3.0)))
        ray.get(second.add.remote(rows(*range(100, 110)), np.full(10, 1.0)))
        replay.request(64, 1.0)
        replay.collect()  # the shards say what they hold
        replay.request(56_000, 1.0)
        batch = replay.collect()
        assert batch is not None
        drawn = np.bincount(batch.columns["number"], minlength=110)
        weight = np.array([90 * 3.0**0.6, 10.0])
        np.testing.assert_allclose([drawn[:90].sum(), drawn[100:].sum()], 56_000 * weight / weight.sum(), atol=2)
        gradient = np.bincount(batch.columns["number"], batch.weights, minlength=110)
        np.testing.assert_allclose(gradient[:90].sum() / gradient.sum(), 0.9, rtol=1e-2)

    def test_a_replaced_shard_does_not_get_half_of_the_gradient(self, replay: Replay) -> None:
        """What it holds counts as much as any other transition from the first batch on."""
        big, small = replay.shards
        ray.get(big.add.remote(rows(*range(100)), np.ones(100)))
        ray.get(small.add.remote(rows(1000), np.ones(1)))
        replay.request(202, 1.0)
        batch = replay.collect()
        assert batch is not None
        share = batch.weights[batch.columns["number"] == 1000].sum() / batch.weights.sum()
        assert share == pytest.approx(1 / 101, rel=1e-3)

    def test_an_empty_shard_is_not_dead(self, replay: Replay) -> None:
        """The other one makes up for it; it is asked again, and takes part once it holds something."""
        ray.get(replay.shards[0].add.remote(rows(*range(50)), np.ones(50)))
        replay.request(40, 0.4)
        batch = replay.collect()
        assert batch is not None
        assert len(batch) == 40
        assert replay.replaced == []
        ray.get(replay.shards[1].add.remote(rows(*range(100, 150)), np.ones(50)))
        for _ in range(2):
            replay.request(40, 0.4)
            batch = replay.collect()
            assert batch is not None
        assert sum(batch.columns["number"] >= 100) == 20

    def test_a_failing_update_of_priorities_is_seen(self, replay: Replay) -> None:
        """It used to be dropped unread."""
        fill(replay)
        replay.request(40, 0.4)
        batch = replay.collect()
        assert batch is not None
        replay.update_priorities(dataclasses.replace(batch, origins=(nonsense(batch.origins[0]),)), np.ones(40))
        ray.wait([update.answer for update in replay._updates])
        replay.request(40, 0.4)
        with pytest.raises(IndexError):
            replay.collect()

    def test_priorities_that_are_not_finite_are_counted(self, replay: Replay) -> None:
        """And do no harm."""
        fill(replay)
        replay.request(40, 0.4)
        batch = replay.collect()
        assert batch is not None
        replay.update_priorities(batch, np.where(np.arange(40) == 3, np.nan, 1.0))
        ray.wait([update.answer for update in replay._updates], num_returns=2)
        replay.request(40, 0.4)
        replay.collect()
        assert replay.refused == 1

    def test_priorities_return_to_the_shard_that_the_rows_came_from(self, replay: Replay) -> None:
        """Row by row."""
        fill(replay)
        replay.request(400, 0.4)
        batch = replay.collect()
        assert batch is not None
        favorites = np.isin(batch.columns["number"], [7, 123])
        replay.update_priorities(batch, np.where(favorites, 1e9, 0.0))
        replay.request(100, 0.4)
        again = replay.collect()
        assert again is not None
        assert set(again.columns["number"].tolist()) == {7, 123}

    def test_a_dead_shard_is_replaced_and_the_others_make_up_for_it(self, replay: Replay) -> None:
        """The batch is complete, and the new shard takes transitions."""
        fill(replay)
        dead = kill(replay, 0)
        replay.request(40, 0.4)
        batch = replay.collect()
        assert batch is not None
        assert len(batch) == 40
        assert batch.columns["number"].min() >= 100
        assert replay.replaced == [1]
        assert replay.shards[0] is not dead
        fill(replay)
        for _ in range(2):  # the first batch finds out what the shards hold now
            replay.request(60, 0.4)
            batch = replay.collect()
            assert batch is not None
        assert sum(batch.columns["number"] < 100) == 20

    def test_a_shard_that_cannot_be_reached_for_a_moment_is_asked_again(
        self, replay: Replay, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It lives, and keeps what it holds."""
        fill(replay)
        replay.request(40, 0.4)
        get, faults = ray.get, [ActorUnavailableError("the connection broke", None)]

        def get_after_a_fault(*arguments: Any, **options: Any) -> Any:
            if faults:
                raise faults.pop()
            return get(*arguments, **options)

        monkeypatch.setattr(ray, "get", get_after_a_fault)
        batch = replay.collect()
        assert batch is not None
        assert len(batch) == 40
        assert sum(batch.columns["number"] < 100) == 20
        assert replay.replaced == []

    def test_a_shard_that_hangs_is_replaced(self, ray_session: None) -> None:
        """After so many seconds of patience, and whoever watches is told."""
        said: list[str] = []
        replay = Replay(ReplayOptions(shards=2, capacity=200), patience=1.0, say=said.append)
        fill(replay)
        process = ray.get(replay.shards[0].__ray_call__.remote(lambda shard: os.getpid()))
        os.kill(process, signal.SIGSTOP)
        replay.request(40, 0.4)
        batch = replay.collect()
        assert batch is not None
        assert len(batch) == 40
        assert said == ["replay shard 1 has not answered for 1 s: an empty one has taken its place"]
        replay.close()

    @pytest.mark.slow
    def test_an_answer_that_is_lost_with_its_node(self) -> None:
        """Its shard is gone, too: an empty one takes its place, and the run says so."""
        program = [sys.executable, "-m", "tests.lost_node"]
        quick = {"initial_delay_ms": "0", "period_ms": "300", "failure_threshold": "3"}
        environment = {**os.environ, **{f"RAY_health_check_{name}": value for name, value in quick.items()}}
        finished = subprocess.run(program, check=False, capture_output=True, text=True, timeout=120, env=environment)
        assert re.search(r"replay shard 2 died on node .+: an empty one has taken its place", finished.stdout), (
            finished.stdout + finished.stderr
        )
        assert "batch of 32768, replaced [2]" in finished.stdout

    def test_without_a_living_shard_there_is_no_batch(self, replay: Replay) -> None:
        """Until the new ones have been filled."""
        fill(replay)
        kill(replay, 0)
        kill(replay, 1)
        replay.request(40, 0.4)
        assert replay.collect() is None
        assert sorted(replay.replaced) == [1, 2]
        assert replay.describe()["size"] == 0

    def test_what_was_saved_is_there_again(self, replay: Replay, tmp_path: Path) -> None:
        """Also with another number of shards."""
        fill(replay)
        replay.saved(tmp_path)
        for shards in (1, 2, 3):
            other = Replay(ReplayOptions(shards=shards, capacity=300))
            other.before_restore(tmp_path)
            other.restored(tmp_path)
            assert other.describe()["size"] == 100
            other.request(600, 0.4)
            batch = other.collect()
            assert batch is not None
            assert set(batch.columns["number"].tolist()) == {*range(50), *range(100, 150)}
            other.close()


class GatedShard:
    """A shard that takes a batch only when its gate is opened."""

    def __init__(self) -> None:
        self.taken = 0

    def add(self, columns: dict[str, Any], td_errors: Any) -> int:
        while not ray.get(columns["gate"][0].is_open.remote()):
            pass
        self.taken += 1
        return 0

    def describe(self) -> int:
        return self.taken


class Gate:
    """Opens once."""

    def __init__(self) -> None:
        self._open = False

    def open(self) -> None:
        self._open = True

    def is_open(self) -> bool:
        return self._open


class TestWriter:
    """Sending to shards."""

    def test_never_has_more_under_way_than_allowed(self, ray_session: None) -> None:
        """The third batch waits until the shard has taken the first."""
        gate = ray.remote(num_cpus=0)(Gate).remote()
        shard = ray.remote(num_cpus=0)(GatedShard).remote()
        writer, spans = ReplayWriter(in_flight=2), Spans()
        columns = {"gate": np.array([gate], dtype=object)}
        for _ in range(2):
            writer.write([shard], columns, np.ones(1), spans)
        assert len(writer._under_way) == 2
        assert sum(end - start for _, start, end in spans.spans) < 1
        opening = gate.open.remote()
        writer.write([shard], columns, np.ones(1), spans)
        assert ray.get(opening) is None
        assert len(writer._under_way) <= 2
        ray.kill(shard)
        ray.kill(gate)

    @pytest.mark.slow
    def test_writes_to_the_shards_that_are_free(self, ray_session: None) -> None:
        """A slow one among four takes two batches and no more, and the others take all the rest."""
        gate = ray.remote(num_cpus=0)(Gate).remote()
        slow = ray.remote(num_cpus=0)(GatedShard).remote()
        fast = [ray.remote(num_cpus=0)(ReplayShard).remote(100, 0.6) for _ in range(3)]
        writer, spans = ReplayWriter(in_flight=2), Spans()
        columns = {"gate": np.array([gate], dtype=object)}
        for _ in range(40):
            writer.write([slow, *fast], columns, np.ones(1), spans)
        waiting = [reference for reference, (number, _) in writer._under_way.items() if number]
        ray.wait(waiting, num_returns=len(waiting))
        assert sum(each["added"] for each in ray.get([shard.describe.remote() for shard in fast])) == 38
        ray.get(gate.open.remote())
        writer.flush()
        assert ray.get(slow.describe.remote()) == 2
        for actor in (gate, slow, *fast):
            ray.kill(actor)

    def test_takes_turns_and_counts_what_a_dead_shard_lost(self, replay: Replay) -> None:
        """Nothing is raised: the learner replaces the shard."""
        writer, spans = ReplayWriter(), Spans()
        for _ in range(4):
            writer.write(replay.shards, rows(1, 2, 3), np.ones(3), spans)
        sizes = [ray.get(shard.describe.remote())["added"] for shard in replay.shards]
        assert sizes == [6, 6]
        kill(replay, 1)
        for _ in range(12):
            writer.write(replay.shards, rows(1, 2, 3), np.ones(3), spans)
        assert writer.take_lost() > 0
        assert writer.take_lost() == 0
