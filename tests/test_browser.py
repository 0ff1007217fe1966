"""The web app in a real browser: whole games, wrong input, two visitors, the layout, and no request to other hosts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from connectfour.games.position import Position
from connectfour.games.registry import make_game
from connectfour.standings.table import read_leaderboard
from tests.board import answered, box, choose, click, drop, followed, moves, paste, press, rest, status, turn, visit
from tests.commands import command
from tests.runs import make_ranked_tictactoe_run
from tests.web import chromium, free_port, serving


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, with scrollbars as visitors have them."""
    program = chromium()
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=quiet, ignore_default_args=["--hide-scrollbars"]
        )
        yield browser
        browser.close()


def _contents(*folders: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for folder in folders for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def server(ranked_run: Path, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """The app, serving the run. At the end, no file has changed in the run or where the server could write."""
    folder = tmp_path_factory.mktemp("server")
    with serving(command("app", "--run", ranked_run, "--port", free_port()), folder) as (address, pid):
        before = _contents(ranked_run, folder)
        yield address, pid
        assert _contents(ranked_run, folder) == before, "visitors leave nothing on the server"


@pytest.fixture
def page(server: tuple[str, int], browser: Browser) -> Iterator[Page]:
    """A visitor's page. All its requests go to this machine, and no script fails."""
    asked: list[str] = []
    failed: list[str] = []
    visitor = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce").new_page()
    visitor.on("request", lambda request: asked.append(request.url))
    visitor.on("pageerror", lambda error: failed.append(str(error)))
    visit(visitor, server[0])
    yield visitor
    visitor.context.close()
    assert {urlsplit(url).hostname for url in asked if not url.startswith("data:")} == {"127.0.0.1"}
    assert failed == []


def test_a_whole_game_by_clicks(page: Page) -> None:
    """Every click gets an answer, the winner is announced and the winning line marked; then a new game starts."""
    choose(page, "opponent", "random")
    game = Position()
    while not game.over:
        column = 0 if 0 in game.legal else game.legal[-1]
        game = followed(game, column, drop(page, column))
        assert page.locator("#board .board [class^=disc]").count() == len(game.actions)
    picture = game.picture
    assert picture is not None
    expected = {0: "You win!", 1: "random wins.", None: "A draw."}[game.winner]
    assert status(page) == expected
    assert page.locator("#board .ring.line").count() == len(picture.winning)
    assert page.locator("#board .player.mover").count() == 0
    expect(box(page)).to_have_value(game.moves)
    assert click(page, "restart") == ""
    assert status(page) == "Your turn."


def test_a_game_by_keyboard(page: Page) -> None:
    """Keys 1 to 7 drop discs, but not while typing into a box."""
    choose(page, "opponent", "linear")
    game = Position()
    while not game.over:
        column = game.legal[len(game.actions) % len(game.legal)]
        game = followed(game, column, press(page, str(column + 1)))
    assert status(page) in {"You win!", "linear wins.", "A draw."}
    click(page, "restart")
    box(page).focus()
    page.keyboard.type("44")
    assert moves(page) == ""
    expect(box(page)).to_have_value("44")


def test_discs_lie_where_they_belong(page: Page) -> None:
    """From the bottom up, in the color of their player, column 1 on the left."""
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


def test_requests_are_sent_one_at_a_time(page: Page) -> None:
    """A second click is ignored while the agent thinks; a button pressed meanwhile takes effect afterwards."""
    since = int(turn(page))
    page.evaluate(
        """() => {
            const lane = document.querySelector('#board .lane[data-action="3"]');
            for (const _ of [1, 2]) lane.dispatchEvent(new MouseEvent("click", { bubbles: true }));
            document.querySelector("#board [data-ask=swap]").click();
            document.querySelector("#board [data-ask=undo]").click();
        }"""
    )
    expect(page.locator("#board .board")).to_have_attribute("data-turn", str(since + 2))
    assert moves(page) == ""
    assert page.locator("#board .player b").first.inner_text() == "You", "of two buttons, the last one takes effect"


def test_a_column_can_be_reached_by_tab(page: Page) -> None:
    """And played with Enter."""
    column = page.get_by_role("button", name="Column 3")
    column.focus()
    assert press(page, "Enter")[0] == "3"


def test_a_full_column_is_refused(page: Page) -> None:
    """With a sentence, and the board does not change."""
    assert paste(page, "444444") == "444444"
    assert page.locator('#board .lane[data-action="3"]').get_attribute("aria-disabled") == "true"
    assert drop(page, 3) == "444444"
    expect(page.locator("#board .notice")).to_have_text("Column 4 is full: choose another one.")
    assert len(drop(page, 2)) == 8
    expect(page.locator("#board .notice")).to_have_text("")


def test_moves_are_taken_back(page: Page) -> None:
    """The visitor's move together with its answer, until the board is empty."""
    first = drop(page, 3)
    second = drop(page, 2)
    assert len(second) == 4
    assert click(page, "undo") == first
    assert click(page, "undo") == ""
    assert click(page, "undo") == ""
    expect(page.locator("#board .notice")).to_have_text("There is no move to take back.")


def test_hint_policy_and_chance_are_shown(page: Page) -> None:
    """Bars above the open columns that add up to 100 %, a chance for each side, the hint as an arrow."""
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
    """The list goes from the weakest to the strongest, with ratings, and the chosen player answers."""
    page.locator("#opponent input").click()
    expect(page.get_by_role("option")).to_have_count(8)
    offered = [text.strip(" ✓\n") for text in page.get_by_role("option").all_inner_texts()]
    ratings = [float(text.rpartition("·")[2]) for text in offered]
    assert ratings == sorted(ratings)
    choose(page, "opponent", "minimax:2")
    assert page.locator("#board .player b").all_inner_texts() == ["You", "minimax:2"]
    paste(page, "1212")
    assert drop(page, 0) == "121211", "it prevents the win"


def test_sides_are_swapped_and_the_second_seat_chosen(page: Page) -> None:
    """The agent moves as soon as it is its turn."""
    since = turn(page)
    page.get_by_label("Move second").check()
    assert len(answered(page, since)) == 1
    assert page.locator("#board .player b").first.inner_text() != "You"
    assert len(click(page, "swap")) == 2
    expect(page.get_by_label("Move first")).to_be_checked()


def test_a_move_string_is_pasted(page: Page) -> None:
    """The visitor is to move there. An invalid string is refused and changes nothing. A link does the same."""
    assert paste(page, " 44 ") == "44"
    for wrong, sentence in (("4x", "Move 2 of '4x' is 'x'"), ("4444444", "Column 4 is full at move 7")):
        assert paste(page, wrong) == "44"
        expect(page.locator("#board .notice")).to_contain_text(sentence)
    assert paste(page, "1213141") == "1213141"
    assert status(page).endswith(" wins.")
    assert page.locator("#board .ring.line").count() == 4
    assert page.locator("#board .figures span").first.inner_text() == "100%"
    page.goto(page.url.partition("?")[0] + "?moves=443")
    expect(page.locator("#board .board")).to_have_attribute("data-moves", "443")
    expect(page.get_by_label("Move second")).to_be_checked()
    assert status(page) == "Your turn."


def test_two_visitors_have_their_own_games(page: Page, browser: Browser, server: tuple[str, int]) -> None:
    """And a reload starts a new game."""
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
    """Each in its seat, move by move until the end, with pauses and undo."""
    choose(page, "opponent", "tactical")
    page.get_by_label("Watch").check()
    page.wait_for_function("document.querySelector('#board .board').dataset.moves.length > 1")
    page.click("#board [data-pause]")
    rest(page)
    assert page.locator("#board [data-pause]").inner_text() == "Resume"
    choose(page, "other", "random")
    expect(page.locator("#board .player b")).to_have_text(["tactical", "random"])
    assert paste(page, "1212") == "1212"
    held = turn(page)
    page.wait_for_timeout(2000)  # nothing happens, so there is no event to wait for
    assert turn(page) == held
    page.click("#board [data-pause]")
    assert answered(page, held).startswith("1212")
    page.wait_for_function("document.querySelector('#board .board').dataset.moves.length > 5")
    assert len(click(page, "undo")) >= 5
    assert page.locator("#board [data-pause]").inner_text() == "Resume", "an undo pauses the game"
    rest(page)
    assert paste(page, "121212") == "121212"
    page.click("#board [data-pause]")
    expect(page.locator("#board .status")).to_have_text("tactical wins.")
    assert moves(page) == "1212121"


def test_leaderboard_and_recorded_games(page: Page, ranked_run: Path) -> None:
    """A row per player and the picture; a game step by step; play from a recorded position."""
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
    assert Position.parse(whole).over
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


def _outside(page: Page, buttons: Locator) -> list[str]:
    """Return the names of visible buttons that are not completely inside the window."""
    window = page.viewport_size
    assert window is not None
    boxes = [(button.inner_text(), button.bounding_box()) for button in buttons.all() if button.is_visible()]
    assert boxes
    return [
        name
        for name, box in boxes
        if box is None or box["y"] < 0 or box["y"] + box["height"] > window["height"] or box["x"] < 0
    ]


def test_the_buttons_are_visible_without_scrolling(page: Page) -> None:
    """On a small laptop, while playing, watching, and stepping through a recorded game."""
    drop(page, 3)
    assert _outside(page, page.locator("#board button")) == []
    page.get_by_label("Watch").check()
    expect(page.locator("#board [data-pause]")).to_be_visible()
    assert _outside(page, page.locator("#board button")) == []
    page.get_by_role("tab", name="Recorded games").click()
    expect(page.locator("#recorded .board")).to_be_visible()
    assert _outside(page, page.locator("#recorded button")) == []


def _place(page: Page) -> tuple[float, float]:
    """Return where the page begins, and its width."""
    box = page.locator(".gradio-container").bounding_box()
    assert box is not None
    return box["x"], box["width"]


def test_the_page_keeps_its_width_on_every_tab(page: Page) -> None:
    """Even though the leaderboard needs a scrollbar and recorded games do not."""
    page.set_viewport_size({"width": 1280, "height": 660})
    places, scrolls = set(), set()
    for tab, content in (
        ("Leaderboard", ".standings-picture img"),
        ("Recorded games", "#recorded"),
        ("Play", "#board"),
    ):
        page.get_by_role("tab", name=tab).click()
        expect(page.locator(content)).to_be_visible()
        places.add(_place(page))
        scrolls.add(page.evaluate("document.documentElement.scrollHeight > innerHeight"))
    assert scrolls == {True, False}
    page.add_style_tag(content=".tabitem > * { display: none !important; }")
    places.add(_place(page))
    assert len(places) == 1, "the last one had a tab with little in it"
    assert places.pop()[1] == 1080


def test_the_title_names_the_app_and_its_run(page: Page) -> None:
    """On one line above the tabs."""
    assert page.title() == "Connect Four league"
    expect(page.locator("#title h1")).to_have_text("Connect Four league")
    expect(page.locator("#title p")).to_have_text("Run demo")
    tabs = page.get_by_role("tablist").first.bounding_box()
    assert tabs is not None
    assert tabs["y"] < 60


def test_it_fits_a_phone(browser: Browser, server: tuple[str, int]) -> None:
    """Nothing is wider than the screen, and columns are wide enough for a finger."""
    phone = browser.new_context(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True).new_page()
    visit(phone, server[0])
    assert phone.evaluate("document.documentElement.scrollWidth") <= 360
    box = phone.locator('#board .lane[data-action="0"]').bounding_box()
    assert box is not None
    assert box["width"] > 40
    phone.get_by_role("tab", name="Leaderboard").click()
    expect(phone.locator("#standings")).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 360
    phone.context.close()


def test_the_server_has_neither_ray_nor_torch(page: Page, server: tuple[str, int]) -> None:
    """Even after it has played."""
    drop(page, 3)
    maps = Path(f"/proc/{server[1]}/maps")
    if not maps.exists():
        pytest.skip("only Linux shows which libraries a process has loaded")
    loaded = maps.read_text()
    assert "onnxruntime" in loaded
    assert "libtorch" not in loaded
    assert "_raylet" not in loaded


@pytest.fixture(scope="module")
def tictactoe(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the app, serving a run of tic-tac-toe."""
    folder = tmp_path_factory.mktemp("tictactoe")
    run = make_ranked_tictactoe_run(folder / "noughts", ["v0001", "main"])
    with serving(command("app", "--run", run, "--port", free_port()), folder) as (address, _):
        yield address


@pytest.fixture
def marks_page(tictactoe: str, browser: Browser) -> Iterator[Page]:
    """A visitor's page of tic-tac-toe, on which no script fails."""
    failed: list[str] = []
    visitor = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce").new_page()
    visitor.on("pageerror", lambda error: failed.append(str(error)))
    visit(visitor, tictactoe)
    yield visitor
    visitor.context.close()
    assert failed == []


def test_a_game_of_tictactoe(marks_page: Page) -> None:
    """By clicks and keys: marks lie in their cells, the line of the winner is marked, taken cells are refused."""
    page, rules = marks_page, make_game("tictactoe")
    assert page.title() == "Tic-tac-toe league"
    expect(page.locator("#title h1")).to_have_text("Tic-tac-toe league")
    choose(page, "opponent", "minimax:9")
    game = Position((), rules)
    while not game.over:
        action = game.legal[len(game.actions) % len(game.legal)]
        after = press(page, str(action + 1)) if len(game.actions) % 4 else drop(page, action)
        game, before = Position.parse(after, rules), game
        assert game.upto(len(before.actions) + 1) == before.play(action)
        picture = game.picture
        assert picture is not None
        marks = [
            (spot.get_attribute("transform"), spot.locator("g").get_attribute("class"))
            for spot in page.locator("#board .pieces > g").all()
        ]
        assert marks == [
            (f"translate({70 + 100 * column} {70 + 100 * row})", f"mark{seat}")
            for (row, column), seat in picture.cells.items()
        ]
    assert status(page) in {"minimax:9 wins.", "A draw."}
    assert page.locator("#board .ring.line").count() == (0 if game.winner is None else 3)
    assert paste(page, "5 1 3 4 7") == "5 1 3 4 7"
    assert page.locator("#board .ring.line").count() == 3
    assert paste(page, "5 1") == "5 1"
    assert page.locator('#board .lane[data-action="4"]').get_attribute("aria-disabled") == "true"
    assert drop(page, 4) == "5 1"
    expect(page.locator("#board .notice")).to_have_text("Cell 5 is taken: choose another one.")
    page.get_by_role("button", name="Cell 3").focus()
    assert press(page, "Enter").startswith("5 1 3 ")


def test_the_policy_of_tictactoe_is_shown_in_the_cells(marks_page: Page) -> None:
    """In those that are empty, adding up to 100 %; a hint outlines the best one."""
    page = marks_page
    assert paste(page, "5 1") == "5 1"
    percents = page.locator("#board .percent").all_text_contents()
    assert (percents[0], percents[4]) == ("", "")
    assert sum(int(text.rstrip("%")) for text in percents if text) == pytest.approx(100, abs=4)
    bars = [float(bar.get_attribute("width") or 0) for bar in page.locator("#board .policy").all()]
    best = bars.index(max(bars))
    click(page, "hint")
    hints = page.locator("#board .hint").all()
    assert [index for index, hint in enumerate(hints) if "shown" in (hint.get_attribute("class") or "")] == [best]
    expect(page.locator("#board .notice")).to_have_text(f"Hint: cell {best + 1}.")
    labels = page.locator("#board .label").all()
    assert [label.is_visible() for label in labels] == [index not in {0, 4} for index in range(9)]


def test_a_recorded_game_of_tictactoe(marks_page: Page) -> None:
    """Step by step; its moves travel to the board on which one plays on."""
    page = marks_page
    page.get_by_role("tab", name="Recorded games").click()
    board = page.locator("#recorded .board")
    expect(board).to_have_attribute("data-moves", re.compile(r"^5 1 \d \d \d"))
    page.click('#recorded [data-step="first"]')
    for _ in range(3):
        page.click('#recorded [data-step="on"]')
    page.keyboard.press("ArrowLeft")
    expect(board).to_have_attribute("data-moves", "5 1")
    assert "(opening)" in page.locator("#recorded .status").inner_text()
    assert page.locator("#recorded .pieces [class^=mark]").count() == 2
    assert _outside(page, page.locator("#recorded button")) == []
    page.click('#recorded [data-step="play"]')
    expect(page.locator("#board .board")).to_have_attribute("data-moves", "5 1")
    expect(page.locator("#board .board")).to_be_visible()
    assert _outside(page, page.locator("#board button")) == []
