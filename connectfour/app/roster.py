"""Who can be played against: a fixed list of ids."""

from __future__ import annotations

from connectfour.app.bundle import Bundle
from connectfour.players.contract import Player
from connectfour.players.names import build_player
from connectfour.players.policy import PolicyPlayer


class Roster:
    """The players of a bundle, all of them ready to play."""

    def __init__(self, bundle: Bundle) -> None:
        """Load them.

        Raises:
            PlayerError: a model is missing or damaged.
        """
        self._listed = bundle.players
        self._players = {player_id: build_player(bundle.pack(player_id), greedy=True) for player_id in bundle.players}

    @property
    def choices(self) -> list[tuple[str, str]]:
        """What to show and the id, of every player, from the weakest to the strongest."""
        return [
            (player.id if player.rating is None else f"{player.id} · {player.rating:.1f}", player.id)
            for player in self._listed.values()
        ]

    @property
    def strongest(self) -> str:
        """The id of the strongest player."""
        return next(reversed(self._players))

    @property
    def analyst(self) -> str | None:
        """The id of the strongest network, whose opinion is shown; None without a network."""
        networks = [player_id for player_id, player in self._players.items() if isinstance(player, PolicyPlayer)]
        return networks[-1] if networks else None

    def __contains__(self, player_id: object) -> bool:
        """Tell whether somebody has this id."""
        return player_id in self._players

    def player(self, player_id: str, temperature: float = 0.0) -> Player:
        """Return the player of an id on the list, playing at ``temperature`` if it is a network."""
        player = self._players[player_id]
        return player.at(temperature) if isinstance(player, PolicyPlayer) else player
