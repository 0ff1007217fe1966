"""The report of an experiment, of whatever there is: as text, and in a real browser."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from connectfour.errors import ExperimentError
from connectfour.experiments.layout import ExperimentFolder
from connectfour.experiments.reporting.report import write_report
from tests.reports import MadeUp, write_made_up
from tests.web import chromium

_TWO = {"ppo": {"algorithm": "ppo"}, "apex": {"algorithm": "apex"}}
_MEANS = {"ppo": 0.900, "apex": 0.912}


class _Outline(HTMLParser):
    """What a page holds: headings with their levels, tags with attributes, text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.levels: list[int] = []
        self.words: list[str] = []
        self._in_style = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_style = tag == "style"
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if not self._in_style:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).replace("\u00a0", " ").split())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment in which everything went well."""
    return write_made_up(tmp_path_factory.mktemp("finished") / "speed", MadeUp(_TWO, _MEANS))


def _report(folder: Path) -> _Outline:
    return _Outline(write_report(folder).read_text(encoding="utf-8"))


def test_report_begins_with_question_and_answers(finished: Path) -> None:
    text = _report(finished).text
    told = [
        "Does Ape-X learn Connect Four faster than PPO on two cores?",
        "At equal minutes, apex is better than ppo by 0.012",
        "At equal env steps, no clear difference between apex and ppo",
        "The two answers differ",
        "Env steps per minute: 1,860,000 for ppo and 540,000 for apex.",
        "With 4 runs, bootstrap intervals are too narrow",
        "Settings",
    ]
    places = [text.index(sentence, len(told[0])) for sentence in told[1:]]
    assert places == sorted(places)
    assert text.count(told[0]) == 2, "as the title and the first heading"


def test_report_holds_everything(finished: Path) -> None:
    """Settings, plots, tables, films, commands, versions, machine, times, graph."""
    page = _report(finished)
    for expected in (
        "4 runs per variant, seeds 0 to 3",
        "after 30 minutes",
        "10 policies of each run",
        "algorithm ppo apex",
        "learning_starts: 50000",
        "4 of 4 0.912 0.906 to 0.917",
        "apex against ppo 4, 4 +0.012 +0.004 to +0.020 0.94 0.74 to 1.00 0.029",
        "ppo, seed 3 0.906 (0.896 to 0.916)",
        "Win rate against its own pool; does not compare runs",
        "1 ppo-0 29.0 1.4 60/10/30 0.910",
        "2 games against minimax:4: 1 won, 1 drawn, 0 lost",
        "Failed, not evaluated or skipped Nothing.",
        "connectfour experiment run experiments/speed.yaml",
        "connectfour train --output runs/train-ppo-0",
        "Python 3.11.7, Ray 2.60.0, Torch 2.13.0",
        "AMD EPYC 9R14, 2 cores, with bfloat16",
        "29 November 2026, 10:00 to 10:33 UTC",
    ):
        assert expected in page.text
    pictures = [tag for name, tag in page.tags if name == "img"]
    kinds = [str(tag["src"]).partition(";")[0].removeprefix("data:image/") for tag in pictures]
    assert {kind: kinds.count(kind) for kind in kinds} == {"png": 3 + 8 + 1, "gif": 16, "svg+xml": 1}
    assert all(tag["alt"] for tag in pictures)
    films = {base64.b64decode(str(tag["src"]).partition(",")[2]) for tag in pictures if "image/gif" in str(tag["src"])}
    assert films == {file.read_bytes() for file in finished.glob("results/*/games/*.gif")}


def test_report_refers_to_nothing_outside_itself(finished: Path) -> None:
    html = write_report(finished).read_text(encoding="utf-8")
    references = re.findall(r"""(?:src|href|action|data)=["']?([^"'>]{5})""", html) + re.findall(r"url\((.*?)\)", html)
    assert {reference for reference in references if not reference.startswith(("data:", "#"))} == set()
    assert not {"script", "link", "iframe"} & {
        tag for tag, values in _Outline(html).tags if values.get("rel") != "icon"
    }


def test_headings_are_in_order_and_tables_have_captions(finished: Path) -> None:
    page = _report(finished)
    assert page.levels[0] == 1
    assert page.levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(page.levels, page.levels[1:], strict=False))
    names = [tag for tag, _ in page.tags]
    assert names.count("table") == names.count("caption") > 5
    assert ("html", {"lang": "en"}) in page.tags


def test_texts_are_text(tmp_path: Path) -> None:
    """Whatever a question, a log or a setting holds, a browser shows it."""
    made = MadeUp(_TWO, _MEANS, question="Is <script>alert(1)</script> & {{ 7 * 7 }} faster?", runs=2)
    made.endings = {"train-ppo-0": ("failed", "<b>out of memory</b>")}
    html = write_report(write_made_up(tmp_path / "odd", made)).read_text(encoding="utf-8")
    assert "<script" not in html
    assert "<b>" not in html
    assert "Is <script>alert(1)</script> & {{ 7 * 7 }} faster?" in unescape(html)
    assert "MemoryError: <cannot> allocate 8 GB" in unescape(html)


def _lost(*names: str) -> dict[str, tuple[str, str]]:
    """Return that the training of these runs failed."""
    return {
        f"{part}-{name}": ("failed", "exit code 7") if part == "train" else ("skipped", f"train-{name} failed")
        for name in names
        for part in ("train", "record", "evaluate", "games")
    }


def test_missing_runs_are_told_in_the_answer_and_explained_below(tmp_path: Path) -> None:
    made = MadeUp(_TWO, _MEANS, runs=6, condition="win_rate > 0.7")
    made.endings = {
        **_lost("ppo-1"),
        "evaluate-apex-2": ("not evaluated", "win_rate > 0.7 does not hold"),
        "games-apex-2": ("not evaluated", "win_rate > 0.7 does not hold"),
    }
    text = _report(write_made_up(tmp_path / "broken", made)).text
    answer, _, rest = text.partition("Settings Curves")
    assert "ppo has 5 of 6 runs (1 failed) and apex has 5 of 6 runs (1 not evaluated)" in answer
    assert "A run is evaluated only if win_rate > 0.7." in answer
    assert "train-ppo-1 failed exit code 7 (log: steps/train-ppo-1.log )" in rest
    assert "iteration 40: 100,000 env steps Traceback (most recent call last): MemoryError" in rest
    assert "iteration 20:" not in rest, "only the last lines of a log"
    assert "\x1b" not in rest
    assert "evaluate-apex-2, games-apex-2: win_rate > 0.7 does not hold" in rest
    assert "record-ppo-1, evaluate-ppo-1, games-ppo-1: train-ppo-1 failed" in rest


def test_nothing_was_evaluated(tmp_path: Path) -> None:
    made = MadeUp(_TWO, _MEANS, runs=2, endings=_lost("ppo-0", "ppo-1", "apex-0", "apex-1"))
    made.endings = {**made.endings, "average": ("skipped", "there is nothing that it could read")}
    text = _report(write_made_up(tmp_path / "lost", made)).text
    assert "Nothing was evaluated, so the question is open. Of 4 runs, 4 failed." in text
    assert "There are no averages over runs." in text
    assert "There is no league table." in text
    assert "There are no example games." in text


def test_several_variants_and_one(tmp_path: Path) -> None:
    six = {
        f"width={width},layers={layers}": {"network.width": width} for width in (256, 512, 1024) for layers in (1, 2)
    }
    means = {name: 0.88 + 0.02 * number for number, name in enumerate(six)}
    made = MadeUp(six, means, runs=6, gap={"minutes": (0.008, 0.03), "env_steps": (0.03, 0.4)})
    text = _report(write_made_up(tmp_path / "six", made)).text
    assert "At equal minutes, width=1024,layers=2 is better than each of the other 5 variants" in text
    assert text.count(" against width=") == 2 * 2 * 15, "pairs of two metrics over two axes"
    text = _report(write_made_up(tmp_path / "one", MadeUp({"all": {}}, {"all": 0.905}))).text
    assert "There is one variant, so nothing is compared." in text
    assert "is 0.905 (95 % interval 0.899 to 0.910) over 4 runs." in text


def test_every_file_may_be_missing(finished: Path, tmp_path: Path) -> None:
    """The report names the experiment, and says of each part that it is not there."""
    folder = Path(shutil.copytree(finished, tmp_path / "missing"))
    (folder / "report.html").unlink(missing_ok=True)
    told = {
        "average.csv": "8 of 8 runs were evaluated, but average.csv has no averages of them.",
        "experiment.yaml": "experiment.yaml is missing or damaged, so the settings are unknown.",
        "graph.svg": "There is no picture of the steps.",
        "league": "There is no league table.",
        "outcome.json": "The command is unknown",
        "plots": "There are no plots.",
        "probability_of_improvement.csv": "At equal minutes, apex and ppo were not compared.",
        "results": "There are no example games.",
        "steps": "No step has a receipt, so versions, machine and times are unknown.",
        "variants": "4 runs per variant",
    }
    assert told.keys() == {path.name for path in folder.iterdir()}
    for name, sentence in told.items():
        aside = (folder / name).rename(tmp_path / "aside")
        page = _report(folder)
        assert sentence in page.text
        assert "left out" not in page.text
        aside.rename(folder / name)
    (tmp_path / "empty").mkdir()
    text = _report(tmp_path / "empty").text
    assert "Experiment empty Nothing was evaluated, so the question is open. There are no runs." in text
    assert "The command is unknown" in text
    with pytest.raises(ExperimentError, match="nowhere does not exist: name the folder of an experiment"):
        write_report(tmp_path / "nowhere")


@pytest.mark.parametrize("damage", [b"\xff\xfe\x00", b"{", b'game,"metric\n1,2\n', b"a: [", b"[]"])
def test_every_file_may_be_damaged(finished: Path, tmp_path: Path, damage: bytes) -> None:
    """The report tells which files are, and shows the rest."""
    folder = ExperimentFolder(Path(shutil.copytree(finished, tmp_path / "damaged")))
    results = folder.results("ppo", 0)
    files = [
        *(folder.settings, folder.average, folder.improvement, folder.outcome, folder.graph, folder.league.leaderboard),
        *(results.train, results.eval, results.match, results.eval_picture, folder.variant("ppo")),
        *(folder.plots / "score.png", results.games / "1-ppo-0-minimax.gif", folder.receipt("train-ppo-0")),
    ]
    for file in files:
        file.write_bytes(damage)
    text = _report(folder.path).text
    told = {file for file in files if f"{file.relative_to(folder.path).as_posix()} is damaged and was left out" in text}
    # A line of a CSV file is read by its header; with other columns alone, there may be no row to complain about.
    unknowable = {file for file in files if file.suffix == ".csv" and damage in {b"{", b"a: [", b"[]"}}
    assert set(files) - unknowable <= told
    assert "connectfour evaluate --output runs/evaluate-apex-0" in text, "receipts of the other steps"


@pytest.mark.parametrize("kept", [slice(None, -8), slice(8, None)])
def test_half_a_picture_is_not_shown(finished: Path, tmp_path: Path, kept: slice) -> None:
    folder = ExperimentFolder(Path(shutil.copytree(finished, tmp_path / "half")))
    for file in (folder.graph, folder.plots / "score.png", folder.results("ppo", 0).games / "1-ppo-0-minimax.gif"):
        file.write_bytes(file.read_bytes()[kept])
    page = _report(folder.path)
    assert page.text.count("is damaged and was left out: it is not a whole picture") == 3
    assert len([tag for tag, _ in page.tags if tag == "img"]) == 29 - 3


def test_a_report_replaces_the_one_before(finished: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "again"))
    first = write_report(folder)
    before = first.read_bytes()
    assert write_report(folder) == first
    assert first.read_bytes() == before
    assert not list(folder.glob(".*.tmp*"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
            ignore_default_args=["--hide-scrollbars"],
        )
        yield browser
        browser.close()


@pytest.mark.parametrize("width", [1280, 360])
def test_report_in_a_browser(browser: Browser, finished: Path, width: int) -> None:
    """It needs no request, fits on a phone, and its first paragraph is the answer."""
    file = write_report(finished)
    page = browser.new_page(viewport={"width": width, "height": 800})
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(file.as_uri())
    assert (page.locator("p").first.text_content() or "").startswith("At equal minutes, apex is better than ppo")
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    inner, scrolled = page.evaluate("[innerWidth, document.scrollingElement.scrollWidth]")
    assert scrolled <= inner
    widths = page.evaluate(
        """async () => {
            const images = [...document.images];
            await Promise.all(images.map((image) => image.decode()));
            return images.map((image) => image.naturalWidth);
        }"""
    )
    assert len(widths) == 29
    assert min(widths) > 0
    assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
    assert said == []
    page.close()
