"""Who can be played against: a fixed list of ids, models loaded when they are first asked for."""

from __future__ import annotations

import threading

from connectfour.app.bundle import Bundle
from connectfour.players.player import Player
from connectfour.players.policy import PolicyPlayer


class Roster:
    """The players of a bundle."""

    def __init__(self, bundle: Bundle) -> None:
        """Load nothing yet."""
        self._bundle = bundle
        self._loaded: dict[str, Player] = {}
        self._loading = threading.Lock()

    @property
    def choices(self) -> list[tuple[str, str]]:
        """What to show and the id, of every player, from the weakest to the strongest."""
        return [
            (player.id if player.rating is None else f"{player.id} · {player.rating:.1f}", player.id)
            for player in self._bundle.players.values()
        ]

    @property
    def strongest(self) -> str:
        """The id of the strongest player."""
        return next(reversed(self._bundle.players))

    @property
    def analyst(self) -> str | None:
        """The id of the strongest network, whose opinion is shown; None without a network."""
        networks = [player.id for player in self._bundle.players.values() if player.kind == "network"]
        return networks[-1] if networks else None

    def __contains__(self, player_id: object) -> bool:
        """Tell whether somebody has this id."""
        return player_id in self._bundle.players

    def player(self, player_id: str, temperature: float = 0.0) -> Player:
        """Return a player, playing at ``temperature`` if it is a network.

        Raises:
            PlayerError: there is none of this id, or its model is missing or damaged.
        """
        with self._loading:
            if player_id not in self._loaded:
                self._loaded[player_id] = self._bundle.pack(player_id).unpack(greedy=True)
        player = self._loaded[player_id]
        return player.at(temperature) if isinstance(player, PolicyPlayer) else player
