"""The page of the web app, used as a visitor does."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from connectfour.games.position import Position

expect.set_options(timeout=30_000)


def visit(page: Page, address: str) -> None:
    """Open the app and wait until it is ready to play."""
    page.goto(address)
    expect(page.locator("#board .board")).to_have_attribute("data-turn", re.compile(r"\d"))


def moves(page: Page) -> str:
    """Return the move string of the board."""
    return page.locator("#board .board").get_attribute("data-moves") or ""


def answered(page: Page, since: str) -> str:
    """Wait for the answer to the request made at turn ``since``, and return the moves."""
    expect(page.locator("#board .board")).not_to_have_attribute("data-turn", since)
    return moves(page)


def turn(page: Page) -> str:
    """Return the number of the board's view."""
    return page.locator("#board .board").get_attribute("data-turn") or ""


def drop(page: Page, action: int) -> str:
    """Click a column or a cell, 0-based, and return the moves after the agent's answer."""
    since = turn(page)
    page.locator(f'#board .lane[data-action="{action}"]').click(force=True)
    return answered(page, since)


def press(page: Page, key: str) -> str:
    """Press a key and return the moves after the answer."""
    since = turn(page)
    page.keyboard.press(key)
    return answered(page, since)


def click(page: Page, name: str) -> str:
    """Click a button of the board and return the moves after the answer."""
    since = turn(page)
    page.click(f"#board [data-ask={name}]")
    return answered(page, since)


def paste(page: Page, text: str) -> str:
    """Put a move string into the box and press Enter."""
    since = turn(page)
    box(page).fill(text)
    box(page).press("Enter")
    return answered(page, since)


def choose(page: Page, control: str, text: str) -> str:
    """Choose the entry that begins with ``text`` in a list of players."""
    since = turn(page)
    if not page.locator(f"#{control}").get_by_role("option").count():
        page.locator(f"#{control} input").click()
    page.locator(f"#{control}").get_by_role("option", name=re.compile(rf"^{re.escape(text)} ·")).click()
    return answered(page, since)


def followed(before: Position, column: int, moves: str) -> Position:
    """Return the game of ``moves``: ``before``, the visitor's disc in ``column``, and one more disc."""
    game = Position.parse(moves)
    assert game.upto(len(before.actions) + 1) == before.play(column)
    assert game.over or len(game.actions) == len(before.actions) + 2
    return game


def box(page: Page) -> Locator:
    """Return the box with the move string."""
    return page.locator("#moves textarea, #moves input").first


def rest(page: Page) -> None:
    """Wait until every request is answered."""
    expect(page.locator("#board[aria-busy=true], #board [aria-busy=true]")).to_have_count(0)


def status(page: Page) -> str:
    """Return the line above the board."""
    return page.locator("#board .status").inner_text()
