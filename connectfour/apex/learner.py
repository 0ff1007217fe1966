"""``ApexLearner``: double Q-learning on prioritized transitions."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.learner.training_data import TrainingData
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from ray.rllib.utils.numpy import convert_to_numpy
from ray.rllib.utils.torch_utils import convert_to_torch_tensor
from torch import Tensor
from typing_extensions import override

from connectfour.apex.transitions import ACTION, DISCOUNT, NEXT, RETURN
from connectfour.rllib.annealed_learner import AnnealedLearner

Q_VALUES = "q_values"
"""Output of a module's training pass: masked Q-values (N, actions) float32."""

WEIGHTS = "weights"
"""Column with the importance weights of a batch."""

_TARGET, _UPDATES = "target", "target_updates"
_NEXT_OBS = NEXT + Columns.OBS
_SCALARS = {ACTION: Columns.ACTIONS, RETURN: RETURN, DISCOUNT: DISCOUNT, WEIGHTS: WEIGHTS}


class ApexLearner(AnnealedLearner):
    """Learns Q-values by Huber's loss, weighted by importance, toward double-Q targets.

    The target of a transition is ``return + discount * Q_target(next, argmax Q(next))`` (van Hasselt et al. 2016). A
    module gives illegal actions the smallest Q-value, so they are never the best one. Every ``target_every`` gradient
    steps the target network becomes a copy of the module.
    """

    @override
    def build(self) -> None:
        """Build module, optimizer and target network."""
        super().build()
        self._module_id = next(each for each in self.module.keys() if self.should_module_be_updated(each))  # noqa: SIM118
        self._target = copy.deepcopy(self.module[self._module_id].unwrapped()).requires_grad_(requires_grad=False)
        self._target_every: int = self.config.apex.target_every
        self._updates = 0
        self._td_errors: list[Tensor] = []

    def observe(self, stored: dict[str, np.ndarray]) -> Any:
        """Return the observations (arrays, as a module reads them) of stored observation columns.

        By default there is one column, and it is the observation.
        """
        return stored[Columns.OBS]

    def double_q(self, observation: Any) -> Tensor:
        """Return the value (N,) of observations: the target network's Q-value of the module's best action."""
        best = self.module[self._module_id].unwrapped().q_values(observation).argmax(dim=1, keepdim=True)
        value: Tensor = self._target.q_values(observation).gather(1, best)[:, 0]
        return value

    def take_td_errors(self) -> np.ndarray:
        """Return the TD errors (N,) float32 of the transitions learned from since the last call, in their order."""
        found: np.ndarray = torch.cat(self._td_errors).cpu().numpy()
        self._td_errors = []
        return found

    @override
    def compute_loss_for_module(
        self, *, module_id: str, config: AlgorithmConfig, batch: dict[str, Any], fwd_out: dict[str, Tensor]
    ) -> Tensor:
        """Return the loss, and keep the TD errors."""
        q = fwd_out[Q_VALUES].gather(1, batch[Columns.ACTIONS][:, None])[:, 0]
        with torch.no_grad():
            target = batch[RETURN] + batch[DISCOUNT] * self.double_q(batch[_NEXT_OBS])
        loss: Tensor = (batch[WEIGHTS] * torch.nn.functional.huber_loss(q, target, reduction="none")).mean()
        td_error = (q - target).detach()
        self._td_errors.append(td_error)
        logged = {"q_loss": loss.detach(), "q_mean": q.detach().mean(), "td_error": td_error.abs().mean()}
        self.metrics.log_dict(logged, key=module_id, window=1)
        return loss

    @override
    def apply_gradients(self, gradients_dict: dict[Any, Any]) -> None:
        """Take a gradient step, and update the target network when it is due."""
        super().apply_gradients(gradients_dict)
        self._updates += 1
        if self._updates % self._target_every == 0:
            self._target.load_state_dict(self.module[self._module_id].unwrapped().state_dict())

    @override
    def _create_iterator_if_necessary(
        self, *, training_data: TrainingData, num_total_minibatches: int = 0, **kwargs: Any
    ) -> Iterable[MultiAgentBatch]:
        """Yield minibatches in the order of the batch, so that TD errors keep it."""
        columns = dict(training_data.batch.policy_batches[self._module_id])
        rows = len(columns[ACTION])
        edges = np.linspace(0, rows, num_total_minibatches + 1).astype(int).tolist()
        return self._minibatches(columns, edges)

    def _minibatches(self, columns: dict[str, np.ndarray], edges: list[int]) -> Iterator[MultiAgentBatch]:
        for start, end in itertools.pairwise(edges):
            part = {name: array[start:end] for name, array in columns.items()}
            stored = {name: array for name, array in part.items() if name not in _SCALARS}
            now = {name: array for name, array in stored.items() if not name.startswith(NEXT)}
            later = {name.removeprefix(NEXT): array for name, array in stored.items() if name.startswith(NEXT)}
            arrays = {
                Columns.OBS: self.observe(now),
                _NEXT_OBS: self.observe(later),
                **{column: part[name].copy() for name, column in _SCALARS.items()},
            }
            arrays[Columns.ACTIONS] = arrays[Columns.ACTIONS].astype(np.int64)
            tensors = convert_to_torch_tensor(arrays, device=self.device)
            yield MultiAgentBatch({self._module_id: SampleBatch(tensors)}, env_steps=end - start)

    @override
    def get_state(self, components: Any = None, *, not_components: Any = None, **kwargs: Any) -> dict[str, Any]:
        """Return RLlib's state with the target network."""
        state: dict[str, Any] = super().get_state(components, not_components=not_components, **kwargs)
        if self._check_component(_TARGET, components, not_components):
            state[_TARGET] = convert_to_numpy(dict(self._target.state_dict()))
            state[_UPDATES] = self._updates
        return state

    @override
    def set_state(self, state: dict[str, Any]) -> None:
        """Load what ``get_state`` returned."""
        super().set_state(state)
        if _TARGET in state:
            self._target.load_state_dict({name: torch.as_tensor(array) for name, array in state[_TARGET].items()})
            self._updates = state[_UPDATES]
