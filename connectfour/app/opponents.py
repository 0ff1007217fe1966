"""The opponents that a visitor can choose from."""

from __future__ import annotations

from connectfour.app.bundle import Bundle
from connectfour.players.contract import Player
from connectfour.players.names import build_player
from connectfour.players.policy import PolicyPlayer


class Opponents:
    """The players of a bundle, loaded and ready to play the game ``rules``."""

    def __init__(self, bundle: Bundle) -> None:
        """Load all players.

        Raises:
            PlayerError: a model is missing or damaged.
        """
        self._described, self.rules = bundle.players, bundle.game.rules
        self._players = {player_id: build_player(bundle.pack(player_id), greedy=True) for player_id in bundle.players}

    @property
    def choices(self) -> list[tuple[str, str]]:
        """Label and id of each player, from the weakest to the strongest."""
        return [
            (player.id if player.rating is None else f"{player.id} · {player.rating:.1f}", player.id)
            for player in self._described.values()
        ]

    @property
    def strongest(self) -> str:
        """Id of the strongest player."""
        return next(reversed(self._players))

    @property
    def analyst(self) -> str | None:
        """Id of the strongest network, whose opinion is shown; None if there is no network."""
        networks = [player_id for player_id, player in self._players.items() if isinstance(player, PolicyPlayer)]
        return networks[-1] if networks else None

    def __contains__(self, player_id: object) -> bool:
        """Return whether a player has this id."""
        return player_id in self._players

    def player(self, player_id: str, temperature: float = 0.0) -> Player:
        """Return the player with this id; a network plays at ``temperature``."""
        player = self._players[player_id]
        return player.at(temperature) if isinstance(player, PolicyPlayer) else player
