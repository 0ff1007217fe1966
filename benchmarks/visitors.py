"""Measures how fast the web app answers when many visitors play at once.

    python -m benchmarks.visitors [--run RUN] [--visitors 10] [--seconds 30]

Starts ``connectfour app`` as users do. Each visitor sends its next move as soon as the last one was answered, or with
``--think`` after a pause. A move is timed from the request to the complete answer, which includes the agent's reply and
the analysis of the position. The figures depend on the machine.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np

from connectfour.games.position import Position


class Visitor:
    """Sends what a browser sends."""

    def __init__(self, address: str, number: int) -> None:
        """Open the page."""
        self.seconds: list[float] = []
        self._random = random.Random(number)
        self._http = httpx.Client(base_url=address, timeout=60)
        config = self._http.get("config").json()
        ids = {component["props"].get("elem_id"): component["id"] for component in config["components"]}
        self._board = ids["board"]
        (opponent,) = [each["props"] for each in config["components"] if each["props"].get("elem_id") == "opponent"]
        self._players = [choice[1] for choice in opponent["choices"]]
        self._events = {
            name: dependency["id"]
            for dependency in config["dependencies"]
            for target, name in dependency["targets"]
            if target == self._board
        }
        self._view: dict[str, Any] = {}

    def play(self, until: float, think: float) -> None:
        """Play game after game against the strongest player."""
        while time.monotonic() < until:
            game = Position.parse(self._view.get("moves", ""))
            if game.over:
                self._view = {}
                continue
            start = time.perf_counter()
            self._view = self._drop(self._random.choice(game.legal))
            self.seconds.append(time.perf_counter() - start)
            time.sleep(think * self._random.uniform(0.5, 1.5))

    def _drop(self, action: int) -> dict[str, Any]:
        strongest = self._players[-1]
        answer = self._http.post(
            "gradio_api/run/predict",
            json={
                "data": [self._view, "first", strongest, strongest, 0, ""],
                "event_data": {"action": action},
                "fn_index": self._events["drop"],
                "trigger_id": self._board,
                "session_hash": f"visitor{id(self)}",
            },
        )
        answer.raise_for_status()
        view: dict[str, Any] = answer.json()["data"][0]
        if len(view["moves"]) <= len(self._view.get("moves", "")):
            raise RuntimeError(f"the server did not move: {view['notice']}")
        return view


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", help="run folder; the newest one in runs/ by default")
    parser.add_argument("--visitors", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--think", type=float, default=0.0, help="mean pause before a move, in seconds")
    parser.add_argument("--port", type=int, default=7870)
    chosen = parser.parse_args()
    command = [sys.executable, "-m", "connectfour", "app", "--port", str(chosen.port)]
    command += ["--run", chosen.run] if chosen.run else []
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        lines = iter(server.stdout or [])
        address = next((found[0] for line in lines if (found := re.search(r"http://\S+", line))), None)
        if address is None:
            sys.exit("the app did not start: see above")
        visitors = [Visitor(address, number) for number in range(chosen.visitors)]
        until = time.monotonic() + chosen.seconds
        with ThreadPoolExecutor(len(visitors)) as pool:
            for done in [pool.submit(each.play, until, chosen.think) for each in visitors]:
                done.result()
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()
    seconds = np.concatenate([each.seconds for each in visitors])
    middle, slow = np.quantile(seconds, [0.5, 0.95])
    print(
        f"{chosen.visitors} visitors, {chosen.think:g} s between moves: {len(seconds):,} moves, "
        f"{len(seconds) / chosen.seconds:.0f}/s; median {1000 * middle:.0f} ms, 95 % within {1000 * slow:.0f} ms"
    )


if __name__ == "__main__":
    main()
