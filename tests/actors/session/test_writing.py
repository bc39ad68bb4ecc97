"""Scripts while they are written: what is shown of them is their source, however the text is cut into pieces."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.sandbox_pool.scanner import Block, Scanner
from actors.session.open_text import OpenText
from actors.session.sieve import Sieve
from tests.actors.session.scripted_stage import block, open_stage, row

BODIES = st.text(st.sampled_from("a\n </t`'\"\\/*"), max_size=30)


def show(text: str, size: int) -> tuple[list[str], list[Block], str]:
    """What is shown of the scripts in a text that comes in pieces of ``size``, what they are, and what else is shown."""
    raw = OpenText("text")
    sieve = Sieve(raw, lambda: None)
    scripts: list[OpenText] = []
    for at in range(0, len(text), size):
        raw.append(text[at : at + size])
        if at == 0:
            sieve.follow(scripts.append)
    sieve.close()
    scanner = Scanner()
    blocks = [piece for piece in (*scanner.feed(text), *scanner.close()) if isinstance(piece, Block)]
    return [each.text() for each in scripts], blocks, sieve.shown.text()


@given(bodies=st.lists(BODIES, min_size=1, max_size=3), size=st.integers(1, 40))
@example(bodies=["return 1"], size=1)
def test_a_script_that_can_be_run_was_shown_as_it_is(bodies: list[str], size: int) -> None:
    text = "".join(f"\n<tool-calls>\n{body}\n</tool-calls>\n" for body in bodies)
    shown, blocks, _ = show(text, size)
    assert len(shown) == len(blocks)
    for script, found in zip(shown, blocks, strict=True):
        if found.problem is None and "</tool-calls>" not in script:
            assert script == found.source


def test_the_numbers_of_a_texts_scripts_count_from_nought() -> None:
    raw = OpenText("text")
    sieve = Sieve(raw, lambda: None)
    raw.append("<tool-calls>\n1\n</tool-calls>\n<tool-calls>\n2")
    late: list[OpenText] = []
    sieve.follow(late.append)
    assert [(each.channel, each.index, each.text()) for each in late] == [("script", 0, "1\n"), ("script", 1, "2")]


def test_of_a_script_that_is_too_long_to_be_run_no_more_is_shown_than_could_be() -> None:
    shown, (block,), _ = show("<tool-calls>\n" + "x" * 100_000 + "\n</tool-calls>", 1000)
    assert block.problem == "too_large"
    assert 19_000 < len(shown[0]) <= 20_480


def test_a_script_that_is_cut_off_is_shown_to_where_it_came() -> None:
    assert show("<tool-calls>\nreturn 1 </tool", 3)[0] == ["return 1 </tool"]


@row("F52")
async def test_a_script_is_shown_as_it_is_written_and_its_text_is_in_no_delta_of_the_message(
    row: str, autojump_clock: MockClock
) -> None:
    async with open_stage() as stage:
        first, second = "const a: string = `</tool-c`;\nreturn a", "return 2"
        stage.says(f"One:\n{block(first)}Two:\n{block(second)}Done.", "Well.")
        result = await stage.play(await stage.thread())
        told = [each for each in result.seen if isinstance(each, str)]
        written = "".join(each.removeprefix("script~") for each in told if each.startswith("script~"))
        assert written == f"{first}\n{second}\n", row
        assert "".join(each[1:] for each in told if each.startswith("~")) == "".join(result.texts)
        ended = [at for at, each in enumerate(told) if each == "ItemCompleted"][1]  # the first is the user's message
        assert max(at for at, each in enumerate(told) if each.startswith("script~")) < ended
