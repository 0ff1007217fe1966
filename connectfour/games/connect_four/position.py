"""An earlier name of ``Position``, which ``benchmarks/visitors.py`` still imports."""

from connectfour.games.position import Position

ConnectFourPosition = Position
