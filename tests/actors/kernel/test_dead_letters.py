from __future__ import annotations

from actors.kernel import DeadLetter, DeadLetters
from actors.kernel.dead_letters import COUNTED_PAIRS, OTHER, RECENT_LETTERS, DeadLetterCount
from tests.actors.kernel.support import Put, Spend


def test_letters_are_counted_by_address_and_type_and_the_last_are_listed_without_content() -> None:
    letters = DeadLetters()
    seen: list[DeadLetter] = []
    letters.observe(seen.append)
    letters.add("box", 1, Put(value=12345), "dead")
    letters.add("box", 2, Put(value=12345), "unread")
    letters.add("box", 2, Spend(), "dead")
    assert letters.counts() == (
        DeadLetterCount(name="box", message_type="Put", count=2),
        DeadLetterCount(name="box", message_type="Spend", count=1),
    )
    assert list(letters.recent) == seen
    assert seen[0] == DeadLetter(name="box", incarnation=1, message_type="Put", why="dead")
    assert "12345" not in repr(seen)


def test_memory_is_bounded_whatever_is_sent_to_whom() -> None:
    letters = DeadLetters()
    for number in range(COUNTED_PAIRS + 10):
        letters.add(f"box{number}", 1, Put(value=1), "dead")
    assert len(letters.recent) == RECENT_LETTERS
    assert letters.counts()[0] == DeadLetterCount(name=OTHER, message_type=OTHER, count=10)
    assert letters.total == COUNTED_PAIRS + 10
