"""The maze example: rules, learning against value iteration, its command."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from PIL import Image

from examples.maze import (
    MOVES,
    Maze,
    Policy,
    Simulation,
    draw_walk,
    evaluate,
    main,
    show_walk,
    train_in_parallel,
    train_serially,
)

ROOT = Path(__file__).resolve().parent.parent
MAZES = {
    "plain": Maze(),
    "large": Maze(7),
    "anywhere": Maze(random_start=True),
    "random goal": Maze(6, random_goal=True, obstacles=0.2, seed=3),
    "walls that cost": Maze(hazard="cost"),
    "walls that end": Maze(hazard="end"),
    "obstacles": Maze(6, obstacles=0.3, random_start=True, seed=7),
    "everything": Maze(6, random_start=True, hazard="end", obstacles=0.2, seed=7),
}


def optimal_values(maze: Maze, discount: float = 0.9) -> np.ndarray:
    """Return the value of each cell and move by value iteration."""
    table = np.zeros((maze.size, maze.size, len(MOVES)))
    for _ in range(200):
        best = table.max(axis=2)
        for cell in maze.cells:
            for action in range(len(MOVES)):
                after, reward, ended = maze.move(cell, action)
                table[cell][action] = reward + (0.0 if ended else discount * best[after])
    return table


def optimal_steps(maze: Maze) -> float:
    """Return the average number of steps that an optimal policy needs."""
    return evaluate(maze, Policy(optimal_values(maze)))[0]


def untrained(maze: Maze) -> Policy:
    return Policy(np.zeros((maze.size, maze.size, len(MOVES))))


def run_main(monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", ["maze.py", *options])
    main()


@pytest.mark.filterwarnings("ignore:.*Not able to test alternative render modes:UserWarning")  # there is one
def test_it_is_a_gymnasium_environment() -> None:
    """By Gymnasium's own check."""
    check_env(Maze())


def test_the_rules() -> None:
    """Walls stop the agent; the goal gives 1."""
    maze = Maze()
    assert maze.move((0, 0), 0) == ((1, 0), 0.0, False)
    assert maze.move((0, 0), 2) == ((0, 0), 0.0, False)
    assert maze.move((4, 3), 3) == ((4, 4), 1.0, True)
    assert optimal_steps(maze) == 8


@pytest.mark.parametrize(("hazard", "ends"), [("cost", False), ("end", True)])
def test_hazardous_walls(hazard: str, ends: bool) -> None:
    """The outer walls cost 100, and end the episode only if asked; obstacles still just stop."""
    maze = Maze(hazard=hazard)
    assert maze.move((0, 0), 2) == ((0, 0), -100.0, ends)
    maze.blocked = {(0, 1)}
    assert maze.move((0, 0), 3) == ((0, 0), 0.0, False)


def test_an_episode_goes_on_after_a_wall_that_costs() -> None:
    """Until the goal, so that a return can hold many walls."""
    maze = Maze(hazard="cost")
    rewards = [step[2] for step in Simulation(maze).rollout(untrained(maze))]
    assert rewards.count(-100.0) > 1
    assert rewards[-1] == 1.0


@pytest.mark.parametrize("action", [-1, 4])
def test_an_unknown_action_is_refused_with_its_value(action: int) -> None:
    """Negative ones too, which Python counts from the end; the agent stays where it is."""
    maze = Maze()
    before, _ = maze.reset()
    with pytest.raises(ValueError, match=f"unknown action {action}: use 0"):
        maze.step(action)
    assert maze.cell == before


def test_a_random_goal_is_seeded() -> None:
    """Anywhere but where the agent starts, the same for the same seed, and not moved by a new episode."""
    mazes = [Maze(2, random_goal=True, seed=seed) for seed in range(20)]
    assert {maze.goal for maze in mazes} == {(0, 1), (1, 0), (1, 1)}
    assert [maze.goal for maze in mazes] == [Maze(2, random_goal=True, seed=seed).goal for seed in range(20)]
    before = mazes[0].goal
    mazes[0].reset(seed=5)
    assert mazes[0].goal == before


def test_a_seed_decides_the_obstacles() -> None:
    """Different seeds, different mazes."""
    assert Maze(obstacles=0.3, seed=1).blocked == Maze(obstacles=0.3, seed=1).blocked
    assert Maze(obstacles=0.3, seed=1).blocked != Maze(obstacles=0.3, seed=2).blocked


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_every_free_cell_reaches_the_goal(share: float) -> None:
    """Obstacles never close anything in."""
    maze = Maze(8, obstacles=share, random_start=True, random_goal=True)
    assert maze.blocked
    values = optimal_values(maze)
    assert all(values[start].max() > 0 for start in maze.starts())


@pytest.mark.parametrize("name", MAZES)
@pytest.mark.slow
def test_q_learning_finds_what_value_iteration_finds(name: str) -> None:
    """The shortest way, and along it the optimal values."""
    maze = MAZES[name]
    policy = untrained(maze)
    policy.epsilon = 0.3
    train_serially(maze, policy, 6000)
    assert evaluate(maze, policy)[0] == optimal_steps(maze)
    start = maze.starts()[0]
    assert policy.table[start].max() == pytest.approx(optimal_values(maze)[start].max(), rel=0.05)


def test_a_rollout_is_an_episode() -> None:
    """Each step begins where the one before ended."""
    steps = Simulation(Maze()).rollout(untrained(Maze()))
    assert all(before[3] == after[0] for before, after in pairwise(steps))
    assert steps[-1][4]
    assert not any(step[4] for step in steps[:-1])


def test_an_untrained_table_moves_at_random() -> None:
    """All moves about equally often, also without exploration; hence more steps than a trained one, and more walls."""
    maze = Maze(hazard="cost")
    episodes = Simulation(maze).rollouts(untrained(maze), 100, explore=False)
    actions = [step[1] for steps in episodes for step in steps]
    assert np.bincount(actions) / len(actions) == pytest.approx([0.25] * 4, abs=0.02)
    steps, reward = evaluate(maze, untrained(maze))
    assert steps > 5 * optimal_steps(maze)
    assert reward < -100


def test_an_evaluation_counts_steps_and_rewards() -> None:
    """Both are means over episodes: eight steps to the goal, and a return of 1; 1,000 steps of a policy that stands."""
    standing = untrained(Maze(hazard="cost"))
    standing.table[..., 2] = 1.0
    assert evaluate(Maze(), Policy(optimal_values(Maze()))) == (8.0, 1.0)
    assert evaluate(Maze(hazard="cost"), standing) == (1000.0, -100_000.0)


def test_actors_learn_the_same(ray_session: None) -> None:
    """Eight steps."""
    maze = Maze()
    policy = untrained(maze)
    train_in_parallel(maze, policy, 1000, actors=2, at_once=20)
    assert evaluate(maze, policy)[0] == 8


def test_a_walk_is_drawn(tmp_path: Path) -> None:
    """One frame per cell."""
    policy = Policy(optimal_values(Maze()))
    draw_walk(Maze(), policy, Simulation(Maze()).rollout(policy, explore=False), str(tmp_path / "walk.gif"))
    with Image.open(tmp_path / "walk.gif") as image:
        assert getattr(image, "n_frames", 1) == 9


def test_a_maze_is_rendered_as_text() -> None:
    """The seeker, the goal, obstacles and free cells; the seeker hides the goal that it has reached."""
    maze = Maze(3)
    maze.blocked = {(1, 1)}
    maze.reset()
    assert maze.render() == "S . .\n. # .\n. . G"
    maze.step(3)
    assert maze.render() == ". S .\n. # .\n. . G"
    for action in (3, 0, 0):
        maze.step(action)
    assert maze.render() == ". . .\n. # .\n. . S"


DOWN_AND_RIGHT = [((0, 0), 0, 0.0, (1, 0), False), ((1, 0), 3, 1.0, (1, 1), True)]
FRAMES = [
    "step 0 of 2\nS .\n. G\n",
    "step 1 of 2: ↓ reward 0\n. .\nS G\n",
    "step 2 of 2: → reward 1\n. .\n. S\n",
]


def test_without_a_terminal_a_walk_is_plain_frames(capsys: pytest.CaptureFixture[str]) -> None:
    """One below the other, without escape sequences and without waiting."""
    show_walk(Maze(2), DOWN_AND_RIGHT)
    assert capsys.readouterr().out == "".join(FRAMES)


@pytest.mark.parametrize(("lines", "between"), [(4, "\x1b[3A\x1b[J"), (3, "")])
def test_in_a_terminal_a_walk_is_animated(monkeypatch: pytest.MonkeyPatch, lines: int, between: str) -> None:
    """Each frame erases the one before, after a pause; a terminal with too few lines gets plain frames."""
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    monkeypatch.setenv("LINES", str(lines))
    ours, theirs = os.openpty()
    expected = between.join(FRAMES)
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal, os.fdopen(ours, "rb", buffering=0) as screen:
        monkeypatch.setattr("sys.stdout", terminal)
        show_walk(Maze(2), DOWN_AND_RIGHT)
        print("end", file=terminal, flush=True)
        shown = b""
        while not shown.endswith(b"end\r\n"):  # a terminal hands over what it has, in pieces
            shown += screen.read(4096)
    assert shown.decode().replace("\r\n", "\n") == f"{expected}end\n"
    assert len(pauses) == (2 if between else 0)


def test_the_command_shows_a_walk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """After the table, and with the same seed the same walk."""
    shown = []
    for seed in (1, 1, 2):
        run_main(monkeypatch, "--policy", "random", "--render", "--seed", str(seed))
        shown.append(capsys.readouterr().out.partition("step 0 of")[2])
    assert shown[0].endswith("reward 1\n. . . . .\n. . . . .\n. . . . .\n. . . . .\n. . . . S\n")
    assert shown[0] == shown[1] != shown[2]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--size", "1"], "--size must be at least 2, not 1"),
        (["--at-once", "0"], "--at-once must be at least 1, not 0"),
        (["--seed", "-1"], "--seed must be at least 0, not -1"),
        (["--obstacles", "2"], "--obstacles 2.0 is not a share"),
    ],
)
def test_bad_options_get_one_sentence(options: list[str], complaint: str) -> None:
    """And a non-zero exit."""
    command = [sys.executable, "examples/maze.py", *options]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert found.stderr.startswith(f"maze: {complaint}")
    assert found.stderr.count("\n") == 1


def test_the_random_policy_is_not_trained(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It knows no move, and says what acting without knowledge costs; no Ray is started for it."""
    monkeypatch.setattr("connectfour.start_ray", lambda **_: pytest.fail("started Ray"))
    run_main(monkeypatch, "--policy", "random", "--size", "2")
    title, *grid = capsys.readouterr().out.splitlines()
    assert title.startswith("untrained, 0.00 s of training: ")
    assert title.endswith(" steps and a return of 1.00 on average")
    assert grid == [". .", ". G"]


def test_it_stays_small() -> None:
    """Something to read aloud."""
    assert len((ROOT / "examples" / "maze.py").read_text().splitlines()) < 300
