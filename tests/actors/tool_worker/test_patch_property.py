"""Random edits of a random tree, written as a patch and applied, give the edited tree."""

from __future__ import annotations

from difflib import SequenceMatcher

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.tool_worker.patch.command import CommandResult, run_command
from actors.tool_worker.patch.execute import apply_hunks
from actors.tool_worker.patch.parse import parse_patch
from tests.actors.tool_worker.memory_files import MemoryFiles

CWD = "/w"
TEXT = st.text(alphabet="ab \t@+-*'\u2019\u00a0\u00e9{", max_size=6)
NAMES = st.sampled_from(["a.txt", "b.txt", "dir/c.txt", "dir/deep/d e.txt"])


class Edited:
    """One file before and after. Every old line is different, so that one line of context says where a change is."""

    def __init__(self, old: list[str], new: list[str], ending: str, whole_last: bool) -> None:
        self.old = old
        self.new = new
        self.ending = ending
        self.before = ending.join(old) + (ending if whole_last and old else "")
        kept = ending if ending in self.before else "\n"  # without a line that ends there is no style to keep
        self.after = "".join(line + kept for line in new)

    def chunks(self, context: int, spoil: str, header: bool) -> list[str]:
        """Change lines with ``context`` lines around; ``spoil`` is what a sloppy writer puts behind those lines."""
        lines: list[str] = []
        for group in SequenceMatcher(None, self.old, self.new, autojunk=False).get_grouped_opcodes(context):
            first = group[0][1]
            lines.append(f"@@ {self.old[first - 1]}" if header and first else "@@")
            for tag, i1, i2, j1, j2 in group:
                if tag == "equal":
                    lines += [f" {line}{spoil}" for line in self.old[i1:i2]]
                else:
                    lines += [f"-{line}{spoil}" for line in self.old[i1:i2]]
                    lines += [f"+{line}" for line in self.new[j1:j2]]
        return lines


@st.composite
def edited(draw: st.DrawFn) -> Edited:
    old = [f"{number}{text}." for number, text in enumerate(draw(st.lists(TEXT, max_size=8)))]
    new: list[str] = []
    for line in old:
        new += draw(st.lists(TEXT.map(lambda text: f"n{text}"), max_size=2)) if draw(st.booleans()) else []
        fate = draw(st.sampled_from(["keep", "keep", "drop", "change"]))
        new += {"keep": [line], "drop": [], "change": ["c" + line]}[fate]
    new += draw(st.lists(TEXT.map(lambda text: f"e{text}"), max_size=2))
    return Edited(old, new, draw(st.sampled_from(["\n", "\r\n"])), draw(st.booleans()))


@settings(deadline=None, max_examples=50)
@given(
    files=st.dictionaries(NAMES, edited(), min_size=1, max_size=3),
    fates=st.lists(st.sampled_from(["edit", "edit", "move", "delete", "replace"]), min_size=4, max_size=4),
    context=st.integers(1, 4),
    spoil=st.sampled_from(["", " ", "\t "]),
    header=st.booleans(),
    patch_ending=st.sampled_from(["\n", "\r\n"]),
)
def test_edits_written_as_a_patch_and_applied_give_the_edited_tree(
    files: dict[str, Edited], fates: list[str], context: int, spoil: str, header: bool, patch_ending: str
) -> None:
    disk = MemoryFiles({f"{CWD}/{name}": each.before.encode() for name, each in files.items()}, folders=(CWD,))
    expected: dict[str, bytes] = dict(disk.files)
    lines = ["*** Begin Patch"]
    done: dict[str, list[str]] = {"A": [], "M": [], "D": []}
    for (name, each), fate in zip(files.items(), fates, strict=False):
        chunks = each.chunks(context, spoil, header)
        path = f"{CWD}/{name}"
        if fate == "delete":
            lines.append(f"*** Delete File: {name}")
            del expected[path]
            done["D"].append(name)
        elif fate == "replace":
            lines += [f"*** Add File: {name}", *(f"+{line}" for line in each.new)]
            expected[path] = "".join(line + "\n" for line in each.new).encode()
            done["A"].append(name)
        elif chunks:
            lines.append(f"*** Update File: {name}")
            to = f"moved/{name}" if fate == "move" else name
            if fate == "move":
                lines.append(f"*** Move to: {to}")
            lines += chunks
            del expected[path]
            expected[f"{CWD}/{to}"] = each.after.encode()
            done["M"].append(to)
    lines.append("*** End Patch")
    if not any(done.values()):
        return

    result = run_command(["apply_patch"], patch_ending.join(lines).encode(), CWD, disk)

    told = "".join(f"{letter} {name}\n" for letter in "AMD" for name in done[letter])
    assert result == CommandResult(exit_code=0, stdout="Success. Updated the following files:\n" + told)
    assert disk.files == expected


@given(text=st.text(max_size=200), before=st.text(max_size=60))
def test_no_text_crashes_the_command_and_one_that_fails_at_once_changes_nothing(text: str, before: str) -> None:
    disk = MemoryFiles({f"{CWD}/a": before.encode("utf-8", "surrogatepass")}, folders=(CWD,))
    untouched = dict(disk.files)
    patch = f"*** Begin Patch\n*** Update File: a\n@@\n{text}\n*** End Patch"
    result = run_command(["apply_patch", patch], b"", CWD, disk)
    assert (result.exit_code, bool(result.stdout)) in ((0, True), (1, False))
    assert result.exit_code == 0 or disk.files == untouched or "*** " in text


def test_the_command_says_what_failed_and_the_models_tool_also_why() -> None:
    disk = MemoryFiles({f"{CWD}/f": b"x\n"}, folders=(CWD, f"{CWD}/dir"))
    for path, told, why in (
        ("dir", "Failed to write file /w/dir", "Is a directory (os error 21)"),
        ("f/x", "Failed to create parent directories for /w/f/x", "File exists (os error 17)"),
    ):
        patch = f"*** Begin Patch\n*** Add File: {path}\n+x\n*** End Patch"
        assert run_command(["apply_patch", patch], b"", CWD, disk) == CommandResult(exit_code=1, stderr=told + "\n")
        error = apply_hunks(parse_patch(patch), CWD, disk).error
        assert str(error) == f"{told}: {why}"
