"""The web app in a real browser: whole games, wrong input, two visitors, and nothing that leaves this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from connectfour.games.connect_four.game import Game
from connectfour.ranking.table import read_leaderboard
from tests.board import answered, box, choose, click, drop, followed, moves, paste, press, rest, status, turn, visit
from tests.commands import command
from tests.web import chromium, free_port, serving


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    program = chromium()
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=quiet)
        yield browser
        browser.close()


def _contents(*folders: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for folder in folders for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def server(ranked_run: Path, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """The app, serving the run; at the end nothing in the run and in all places that it might write to has changed."""
    folder = tmp_path_factory.mktemp("server")
    with serving(command("app", "--run", ranked_run, "--port", free_port()), folder) as (address, pid):
        before = _contents(ranked_run, folder)
        yield address, pid
        assert _contents(ranked_run, folder) == before, "visitors leave nothing on the server"


@pytest.fixture
def page(server: tuple[str, int], browser: Browser) -> Iterator[Page]:
    """A visitor's page; whatever is asked for lies on this machine, and no script fails."""
    asked: list[str] = []
    failed: list[str] = []
    visitor = browser.new_context(viewport={"width": 1280, "height": 850}, reduced_motion="reduce").new_page()
    visitor.on("request", lambda request: asked.append(request.url))
    visitor.on("pageerror", lambda error: failed.append(str(error)))
    visit(visitor, server[0])
    yield visitor
    visitor.context.close()
    assert {urlsplit(url).hostname for url in asked if not url.startswith("data:")} == {"127.0.0.1"}
    assert failed == []


def test_a_whole_game_by_clicks(page: Page) -> None:
    """Every click gets an answer, discs lie where they fell, the end is told and the four marked; then a new game."""
    choose(page, "opponent", "random")
    game = Game()
    while not game.over:
        column = 0 if 0 in game.legal else game.legal[-1]
        game = followed(game, column, drop(page, column))
        assert page.locator("#board .board [class^=disc]").count() == len(game.columns)
    expected = {0: "You win!", 1: "random wins.", None: "A draw."}[game.winner]
    assert status(page) == expected
    assert page.locator("#board .ring.four").count() == len(game.winning_cells)
    assert page.locator("#board .player.mover").count() == 0
    expect(box(page)).to_have_value(game.moves)
    assert click(page, "restart") == ""
    assert status(page) == "Your turn."


def test_a_game_by_keyboard(page: Page) -> None:
    """Keys 1 to 7 drop discs, but not while one types in a box."""
    choose(page, "opponent", "linear")
    game = Game()
    while not game.over:
        column = game.legal[len(game.columns) % len(game.legal)]
        game = followed(game, column, press(page, str(column + 1)))
    assert status(page) in {"You win!", "linear wins.", "A draw."}
    click(page, "restart")
    box(page).focus()
    page.keyboard.type("44")
    assert moves(page) == ""
    expect(box(page)).to_have_value("44")


def test_discs_lie_where_they_belong(page: Page) -> None:
    """From the bottom up, in the colour of who played them, column 1 on the left."""
    paste(page, "4435")
    discs = [
        (spot.get_attribute("transform"), spot.locator("g").get_attribute("class"))
        for spot in page.locator("#board .board g[clip-path] > g").all()
    ]
    assert discs == [
        ("translate(370 680)", "disc0"),
        ("translate(370 580)", "disc1"),
        ("translate(270 680)", "disc0"),
        ("translate(470 680)", "disc1"),
    ]
    last = page.locator("#board .ring")
    assert (last.get_attribute("cx"), last.get_attribute("cy")) == ("470", "680")


def test_questions_are_asked_one_after_the_other(page: Page) -> None:
    """A second click while the agent thinks is none; a button pressed meanwhile is obeyed afterwards."""
    since = int(turn(page))
    page.evaluate(
        """() => {
            const lane = document.querySelector('#board .lane[data-column="3"]');
            for (const _ of [1, 2]) lane.dispatchEvent(new MouseEvent("click", { bubbles: true }));
            document.querySelector("#board [data-ask=swap]").click();
            document.querySelector("#board [data-ask=undo]").click();
        }"""
    )
    expect(page.locator("#board .board")).to_have_attribute("data-turn", str(since + 2))
    assert moves(page) == ""
    assert page.locator("#board .player b").first.inner_text() == "You", "only the last of the buttons waits"


def test_a_column_can_be_reached_by_tab(page: Page) -> None:
    """And taken with Enter."""
    column = page.get_by_role("button", name="Column 3")
    column.focus()
    assert press(page, "Enter")[0] == "3"


def test_a_full_column_is_refused(page: Page) -> None:
    """With a sentence; the board stays as it is."""
    assert paste(page, "444444") == "444444"
    assert page.locator('#board .lane[data-column="3"]').get_attribute("aria-disabled") == "true"
    assert drop(page, 3) == "444444"
    expect(page.locator("#board .notice")).to_have_text("Column 4 is full: choose another one.")
    assert len(drop(page, 2)) == 8
    expect(page.locator("#board .notice")).to_have_text("")


def test_moves_are_taken_back(page: Page) -> None:
    """One's own and the answer to it, until there are none."""
    first = drop(page, 3)
    second = drop(page, 2)
    assert len(second) == 4
    assert click(page, "undo") == first
    assert click(page, "undo") == ""
    assert click(page, "undo") == ""
    expect(page.locator("#board .notice")).to_have_text("There is no move to take back.")


def test_hint_policy_and_chance_are_shown(page: Page) -> None:
    """Bars over open columns that add up, a share for each side, the hint as an arrow."""
    assert paste(page, "444444") == "444444"
    percents = [text.rstrip("%") for text in page.locator("#board .percent").all_text_contents()]
    assert percents[3] == ""
    assert sum(int(text) for text in percents if text) == pytest.approx(100, abs=4)
    left, by, right = page.locator("#board .figures span").all_inner_texts()
    assert int(left.rstrip("%")) + int(right.rstrip("%")) == 100
    assert by.startswith("chance to win, says ")
    assert page.locator("#board .hint.shown").count() == 0
    bars = [float(bar.get_attribute("height") or 0) for bar in page.locator("#board .policy").all()]
    best = bars.index(max(bars))
    click(page, "hint")
    arrows = page.locator("#board .hint").all()
    assert [index for index, arrow in enumerate(arrows) if "shown" in (arrow.get_attribute("class") or "")] == [best]
    expect(page.locator("#board .notice")).to_have_text(f"Hint: column {best + 1}.")


def test_the_opponent_is_changed(page: Page) -> None:
    """The list goes from the weakest to the strongest with ratings, and whoever is chosen answers."""
    page.locator("#opponent input").click()
    expect(page.get_by_role("option")).to_have_count(8)
    offered = [text.strip(" ✓\n") for text in page.get_by_role("option").all_inner_texts()]
    ratings = [float(text.rpartition("·")[2]) for text in offered]
    assert ratings == sorted(ratings)
    choose(page, "opponent", "minimax:2")
    assert page.locator("#board .player b").all_inner_texts() == ["You", "minimax:2"]
    paste(page, "1212")
    assert drop(page, 0) == "121211", "it stops the four"


def test_sides_are_swapped_and_the_second_seat_chosen(page: Page) -> None:
    """The agent moves as soon as it is its turn."""
    since = turn(page)
    page.get_by_label("Move second").check()
    assert len(answered(page, since)) == 1
    assert page.locator("#board .player b").first.inner_text() != "You"
    assert len(click(page, "swap")) == 2
    expect(page.get_by_label("Move first")).to_be_checked()


def test_a_move_string_is_pasted(page: Page) -> None:
    """One goes on from it, on the side to move; what is none is refused and changes nothing; a link does the same."""
    assert paste(page, " 44 ") == "44"
    for wrong, sentence in (("4x", "Move 2 of '4x' is 'x'"), ("4444444", "Column 4 is full at move 7")):
        assert paste(page, wrong) == "44"
        expect(page.locator("#board .notice")).to_contain_text(sentence)
    assert paste(page, "1213141") == "1213141"
    assert status(page).endswith(" wins.")
    assert page.locator("#board .ring.four").count() == 4
    assert page.locator("#board .figures span").first.inner_text() == "100%"
    page.goto(page.url.partition("?")[0] + "?moves=443")
    expect(page.locator("#board .board")).to_have_attribute("data-moves", "443")
    expect(page.get_by_label("Move second")).to_be_checked()
    assert status(page) == "Your turn."


def test_two_visitors_have_their_own_games(page: Page, browser: Browser, server: tuple[str, int]) -> None:
    """And a reload begins anew."""
    other = browser.new_context().new_page()
    visit(other, server[0])
    assert drop(page, 0)[0] == "1"
    assert drop(other, 6)[0] == "7"
    assert drop(page, 1)[::2] == "12"
    assert drop(other, 5)[::2] == "76"
    page.reload()
    expect(page.locator("#board .board")).to_have_attribute("data-moves", "")
    assert moves(other)[::2] == "76"
    other.context.close()


def test_agents_are_watched(page: Page) -> None:
    """Each at its seat, move by move until the end; it can be held, and taken back."""
    choose(page, "opponent", "tactical")
    page.get_by_label("Watch").check()
    page.wait_for_function("document.querySelector('#board .board').dataset.moves.length > 1")
    page.click("#board [data-pause]")
    rest(page)
    assert page.locator("#board [data-pause]").inner_text() == "Go on"
    choose(page, "other", "random")
    expect(page.locator("#board .player b")).to_have_text(["tactical", "random"])
    assert paste(page, "1212") == "1212"
    held = turn(page)
    page.wait_for_timeout(2000)  # nothing is to happen: there is nothing to wait for
    assert turn(page) == held
    page.click("#board [data-pause]")
    assert answered(page, held).startswith("1212")
    page.wait_for_function("document.querySelector('#board .board').dataset.moves.length > 5")
    assert len(click(page, "undo")) >= 5
    assert page.locator("#board [data-pause]").inner_text() == "Go on", "it is held for who takes a move back"
    rest(page)
    assert paste(page, "121212") == "121212"
    page.click("#board [data-pause]")
    expect(page.locator("#board .status")).to_have_text("tactical wins.")
    assert moves(page) == "1212121"


def test_leaderboard_and_recorded_games(page: Page, ranked_run: Path) -> None:
    """A row a player and the picture; a game step by step; one can go on from a position."""
    page.get_by_role("tab", name="Leaderboard").click()
    rows = page.locator("#standings tbody tr")
    expect(rows).to_have_count(8)
    best = read_leaderboard(ranked_run)[0]
    cells = rows.first.locator("td").all_inner_texts()
    assert cells[:4] == ["1", best.player, f"{best.mu:.1f}", f"{best.interval:.1f}"]
    picture = page.locator(".standings-picture img")
    expect(picture).to_be_visible()
    assert page.evaluate("(image) => image.naturalWidth", picture.element_handle()) > 400
    page.get_by_role("tab", name="Recorded games").click()
    board = page.locator("#recorded .board")
    expect(board).to_have_attribute("data-moves", re.compile(r"^12\d+"))
    whole = board.get_attribute("data-moves") or ""
    assert Game.parse(whole).over
    page.click('#recorded [data-step="first"]')
    expect(board).to_have_attribute("data-moves", "")
    for _ in range(3):
        page.click('#recorded [data-step="on"]')
    page.keyboard.press("ArrowLeft")
    expect(board).to_have_attribute("data-moves", whole[:2])
    assert "Move 2 of" in page.locator("#recorded .status").inner_text()
    page.locator("#game input").click()
    page.get_by_role("option").nth(5).click()
    expect(board).not_to_have_attribute("data-moves", whole[:2])
    page.click('#recorded [data-step="first"]')
    page.click('#recorded [data-step="on"]')
    page.click('#recorded [data-step="play"]')
    expect(page.locator("#board .board")).to_have_attribute("data-moves", "1")
    expect(page.locator("#board .board")).to_be_visible()
    expect(page.get_by_label("Move second")).to_be_checked()


def test_it_fits_a_phone(browser: Browser, server: tuple[str, int]) -> None:
    """Nothing is wider than the screen, and columns are wide enough for a finger."""
    phone = browser.new_context(viewport={"width": 360, "height": 780}).new_page()
    visit(phone, server[0])
    assert phone.evaluate("document.documentElement.scrollWidth") <= 360
    box = phone.locator('#board .lane[data-column="0"]').bounding_box()
    assert box is not None
    assert box["width"] > 40
    phone.get_by_role("tab", name="Leaderboard").click()
    expect(phone.locator("#standings")).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 360
    phone.context.close()


def test_the_server_has_neither_ray_nor_torch(page: Page, server: tuple[str, int]) -> None:
    """After it has played."""
    drop(page, 3)
    maps = Path(f"/proc/{server[1]}/maps")
    if not maps.exists():
        pytest.skip("only Linux tells which libraries a process has loaded")
    loaded = maps.read_text()
    assert "onnxruntime" in loaded
    assert "libtorch" not in loaded
    assert "_raylet" not in loaded
