"""The settings of networks, and the architecture that they and the game make."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from connectfour.settings.base import Settings
from connectfour.settings.game import GameSettings
from connectfour.storage.address import is_remote

Head = Literal["policy", "dueling"]
"""``policy``: logits and a value. ``dueling``: Q-values from a value and advantages."""


_ENCODERS = ("lines", "mlp", "resnet")


class NetworkShape(Settings):
    """Encoder and sizes of a network."""

    encoder: str = Field(
        "lines",
        description="lines: line features through mirror-symmetric layers (Connect Four); mlp: planes through dense "
        "layers; resnet: planes through residual blocks; or a class of your own as my_package.nets:MyEncoder",
    )
    width: int = Field(512, ge=1, description="units per layer, or channels per residual block")
    layers: int = Field(2, ge=1, description="number of layers, or of residual blocks")
    options: dict[str, Any] = Field({}, description="keyword arguments of an encoder of your own")
    symmetric: bool = Field(
        False,
        description="average over the symmetries of the game, at one pass through the encoder each; lines is symmetric "
        "without it",
    )

    @property
    def has_own_encoder(self) -> bool:
        """Whether the encoder is a class of the user's own."""
        return self.encoder not in _ENCODERS

    @model_validator(mode="after")
    def _encoder_has_a_name(self) -> NetworkShape:
        if self.encoder not in _ENCODERS and ":" not in self.encoder:
            raise ValueError(
                f"network.encoder = {self.encoder!r} is unknown: choose {', '.join(_ENCODERS)}, or name a class as "
                "my_package.nets:MyEncoder"
            )
        if self.options and self.encoder in _ENCODERS:
            raise ValueError(f"network.options are for an encoder of your own, not for {self.encoder}: leave them out")
        return self

    @model_validator(mode="after")
    def _lines_are_symmetric(self) -> NetworkShape:
        if self.symmetric and self.encoder == "lines":
            raise ValueError("network.symmetric is for other encoders: lines is symmetric by itself, so leave it out")
        return self

    @model_validator(mode="after")
    def _width_has_two_halves(self) -> NetworkShape:
        if self.encoder == "lines" and self.width % 2:
            raise ValueError(f"network.width = {self.width} is odd: the lines encoder needs an even number")
        return self


class NetworkSettings(NetworkShape):
    """The network of main and of its frozen copies."""

    start_from: str | None = Field(
        None, description="policy that main starts from: snapshot:RUN/vN or checkpoint:PATH; null: random weights"
    )

    @field_validator("start_from")
    @classmethod
    def _start_is_found_from_anywhere(cls, spec: str | None) -> str | None:
        if spec is None:
            return None
        kind, _, path = spec.partition(":")
        if kind not in {"snapshot", "checkpoint"} or not path:
            raise ValueError(f"network.start_from names {spec!r}: write snapshot:RUN/vN or checkpoint:PATH")
        return spec if is_remote(path) else f"{kind}:{Path(path).absolute()}"


class Architecture(NetworkShape):
    """A network with its head and its game: what snapshots record, and what rebuilds the network.

    The head follows from the algorithm that trains the network.
    """

    head: Head = "policy"
    game: GameSettings = GameSettings()

    def __str__(self) -> str:
        """Return the architecture as part of a sentence."""
        symmetric = "symmetric " if self.symmetric else ""
        return f"{symmetric}{self.encoder} {self.layers} x {self.width} for {self.game}"
