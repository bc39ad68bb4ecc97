"""apply_patch: parsing, locating, planning, applying and reporting."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.tool_worker.patch.command import EXIT_USAGE, CommandResult, run_command
from actors.tool_worker.patch.execute import apply_hunks, apply_plan, plan_patch
from actors.tool_worker.patch.line_diff import differences
from actors.tool_worker.patch.parse import (
    AddFile,
    ChangeLine,
    Chunk,
    DeleteFile,
    InvalidHunkError,
    PatchError,
    UpdateFile,
    parse_patch,
)
from actors.tool_worker.patch.report import file_changes, summary, tool_output, verification_failure
from actors.tool_worker.patch.rewrite import rewrite
from messages.client.item import AddChange, DeleteChange, FileUpdateChange, UpdateChange
from messages.patch import UNREAD, FileRevision
from tests.actors.tool_worker.memory_files import MemoryFiles

CWD = "/project"


def patch(*lines: str) -> str:
    return "\n".join(("*** Begin Patch", *lines, "*** End Patch"))


def update(path: str, *lines: str) -> str:
    return patch(f"*** Update File: {path}", *lines)


def rewritten(content: str, *lines: str) -> str:
    (hunk,) = parse_patch(update("f", *lines))
    assert isinstance(hunk, UpdateFile)
    return rewrite(content, hunk.chunks, path="/project/f")


VALID_HEADERS = "Valid hunk headers: '*** Add File: {path}', '*** Delete File: {path}', '*** Update File: {path}'"


def unexpected(line: str) -> str:
    return (
        f"Unexpected line found in update hunk: '{line}'. Every line should start with "
        "' ' (context line), '+' (added line), or '-' (removed line)"
    )


def refusal(text: str, files: MemoryFiles | None = None) -> str:
    with pytest.raises(PatchError) as caught:
        plan_patch(text, CWD, files or MemoryFiles(folders=(CWD,)))
    return str(caught.value)


# --- parsing ---------------------------------------------------------------------------------------------------------


def test_all_kinds_of_hunks_are_read_in_order() -> None:
    text = patch(
        "*** Add File: a.txt",
        "+one",
        "+",
        "*** Delete File: b.txt",
        "*** Update File: c.txt",
        "*** Move to: d.txt",
        "@@ def f():",
        " kept",
        "-old",
        "+new",
        "*** End of File",
    )

    assert parse_patch(text) == (
        AddFile(path="a.txt", content="one\n\n"),
        DeleteFile(path="b.txt"),
        UpdateFile(
            path="c.txt",
            move_to="d.txt",
            chunks=(
                Chunk(
                    header="def f():",
                    lines=(ChangeLine("context", "kept"), ChangeLine("removed", "old"), ChangeLine("added", "new")),
                    end_of_file=True,
                ),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (patch("*** Add File: f", "+\ud800"), "invalid patch: The patch is not valid Unicode text"),
        ("", "invalid patch: The first line of the patch must be '*** Begin Patch'"),
        ("*** Begin Patch", "invalid patch: The last line of the patch must be '*** End Patch'"),
        (update("f"), "invalid hunk at line 2, Update file hunk for path 'f' is empty"),
        (update("f", "@@"), "invalid hunk at line 4, Update hunk does not contain any lines"),
        (
            update("f", "@@", "@@ x", " y"),
            "invalid hunk at line 4, " + unexpected("@@ x"),
        ),
        (
            update("f", "@@", " y", "bare"),
            "invalid hunk at line 5, " + unexpected("bare"),
        ),
        (
            patch("*** Delete File: f", "-x"),
            "invalid hunk at line 3, '-x' is not a valid hunk header. " + VALID_HEADERS,
        ),
        (
            patch("*** Delete File: a\0b"),
            "invalid hunk at line 2, the path contains a NUL character, which no file name can hold",
        ),
        (patch(), "No files were modified."),
    ],
)
def test_a_malformed_patch_is_refused_with_the_line_and_what_was_expected(text: str, message: str) -> None:
    assert refusal(text) == message


@given(st.text(alphabet="*@ +-\nab\r", max_size=80))
def test_any_text_parses_or_is_refused_in_words(body: str) -> None:
    with contextlib.suppress(InvalidHunkError):
        assert all(hunk.path for hunk in parse_patch(patch("*** Update File: f", body)))


# --- locating and rewriting ------------------------------------------------------------------------------------------


def test_an_exact_match_further_down_wins_over_a_forgiving_one_nearby() -> None:
    assert rewritten("x  \nx\n", "@@", "-x", "+y") == "x  \ny\n"


def test_typographic_characters_match_the_ascii_a_model_types() -> None:
    assert rewritten("say \u201chi\u201d \u2013 now\n", "@@", '-say "hi" - now', "+bye") == "bye\n"


def test_a_context_line_keeps_what_the_file_says_where_the_match_was_forgiving() -> None:
    assert rewritten("a\t\nb\n", "@@", " a", "-b", "+c") == "a\t\nc\n"


def test_chunks_are_searched_from_behind_the_one_before() -> None:
    assert rewritten("x\nx\nx\n", "@@", "-x", "+1", "@@", "-x", "+2") == "1\n2\nx\n"
    with pytest.raises(PatchError, match="Failed to find expected lines in /project/f:\na"):
        rewritten("a\nb\n", "@@", "-b", "+B", "@@", "-a", "+A")


def test_an_end_of_file_chunk_never_reaches_back_over_an_earlier_one() -> None:
    with pytest.raises(PatchError, match="Failed to find expected lines"):
        rewritten("a\n", "@@", "-a", "+b", "@@", "-a", "+c", "*** End of File")


def test_a_trailing_empty_context_line_that_the_file_lacks_is_dropped() -> None:
    assert rewritten("a\nb\n", "@@", " a", "-b", "+c", "") == "a\nc\n"


def test_an_empty_line_at_the_end_of_the_file_survives_a_patch() -> None:
    assert rewritten("a\nb\n\n", "@@", "-a", "+A") == "A\nb\n\n"


def test_pure_additions_go_to_the_end_even_under_a_header() -> None:
    assert rewritten("a\nb", "@@ a", "+c", "@@", "+d") == "a\nb\nc\nd\n"


def test_new_lines_get_the_endings_that_prevail_in_the_file_and_old_ones_keep_theirs() -> None:
    assert rewritten("a\r\nb\nc\r\n", "@@", " b", "-c", "+d", "+e") == "a\r\nb\nd\r\ne\r\n"


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert rewritten("\ufeffa\n", "@@", "-a", "+b") == "\ufeffb\n"


LINES = st.lists(st.sampled_from(["a", "b", "  c", "", "d \u00e9"]), max_size=12)


@given(old=LINES, new=LINES)
def test_a_patch_made_from_two_files_turns_the_one_into_the_other(old: list[str], new: list[str]) -> None:
    lines: list[str] = []
    cursor = 0
    for region in differences(old, new):
        lines += [" " + line for line in old[cursor : region.old_start]]
        lines += ["-" + line for line in old[region.old_start : region.old_end]]
        lines += ["+" + line for line in new[region.new_start : region.new_end]]
        cursor = region.old_end
    lines += [" " + line for line in old[cursor:]]
    if not lines:
        return

    unix = "".join(line + "\n" for line in old)
    expected = "".join(line + "\n" for line in new)
    assert rewritten(unix, "@@", *lines) == expected
    assert rewritten(unix.replace("\n", "\r\n"), "@@", *lines) == expected.replace("\n", "\r\n" if old else "\n")


# --- executing -------------------------------------------------------------------------------------------------------

MANY = patch(
    "*** Update File: a.txt",
    "*** Move to: sub/b.txt",
    "@@",
    "-one",
    "+two",
    "*** Update File: sub/b.txt",
    "@@",
    "-two",
    "+three",
    "*** Add File: new.txt",
    "+x",
    "*** Delete File: old.txt",
)


def test_a_plan_writes_nothing_and_its_application_does_what_it_said() -> None:
    before = {"/project/a.txt": b"one\n", "/project/old.txt": b"gone\n"}
    files = MemoryFiles(before)

    plan = plan_patch(MANY, CWD, files)
    assert files.files == before
    outcome = apply_plan(plan, files)

    assert files.files == {"/project/sub/b.txt": b"three\n", "/project/new.txt": b"x\n"}
    assert outcome.revisions == plan.revisions
    assert plan.revisions == (
        FileRevision(path="/project/a.txt", before=b"one\n", after=b"two\n", moved_to="/project/sub/b.txt"),
        FileRevision(path="/project/sub/b.txt", before=b"two\n", after=b"three\n"),
        FileRevision(path="/project/new.txt", before=None, after=b"x\n"),
        FileRevision(path="/project/old.txt", before=b"gone\n", after=None),
    )
    assert plan.paths == ("/project/a.txt", "/project/sub/b.txt", "/project/new.txt", "/project/old.txt")
    assert summary(outcome) == (
        "Success. Updated the following files:\nA new.txt\nM sub/b.txt\nM sub/b.txt\nD old.txt\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (patch("*** Delete File: none"), "Failed to delete file /project/none"),
        (patch("*** Delete File: dir"), "Failed to delete file /project/dir"),
        (
            update("none", "@@", "-x"),
            "Failed to read file to update /project/none: No such file or directory (os error 2)",
        ),
        (update("dir", "@@", "-x"), "Failed to read file to update /project/dir: Is a directory (os error 21)"),
        (
            update("binary", "@@", "-x"),
            "Failed to read file to update /project/binary: stream did not contain valid UTF-8",
        ),
        (update("pipe", "@@", "-x"), "Failed to read file to update /project/pipe: it is not a regular file"),
        (patch("*** Add File: pipe", "+x"), "Failed to write file /project/pipe: it is not a regular file"),
        (patch("*** Add File: dir", "+x"), "Failed to write file /project/dir: Is a directory (os error 21)"),
        (
            patch("*** Add File: f.txt/x", "+x"),
            "Failed to create parent directories for /project/f.txt/x: Not a directory (os error 20)",
        ),
        (update("../project/f.txt", "@@ zzz", "-x"), "Failed to find context 'zzz' in /project/f.txt"),
    ],
)
def test_a_patch_that_does_not_fit_is_refused_whole(text: str, message: str) -> None:
    before = {"/project/f.txt": b"f\n", "/project/binary": b"\xff\xfe", "/project/dir/x": b""}
    files = MemoryFiles(before, pipes=("/project/pipe",))

    whole = text.replace("*** Begin Patch\n", "*** Begin Patch\n*** Add File: first\n+1\n")

    assert refusal(whole, files) == message
    assert files.files == before


def test_what_was_done_before_a_failure_stays_and_the_model_is_told() -> None:
    files = MemoryFiles(folders=(CWD,), broken=("/project/b",))
    outcome = apply_hunks(parse_patch(patch("*** Add File: a", "+1", "*** Add File: b", "+2")), CWD, files)

    assert files.files == {"/project/a": b"1\n"}
    assert tool_output(outcome, wall_seconds=0.04) == (
        "Exit code: 1\nWall time: 0 seconds\nOutput:\n"
        "Failed to write file /project/b: Permission denied (os error 13)\n"
        "These changes were made before the failure and stay:\nA a\n"
    )


def test_moving_a_file_onto_itself_keeps_it() -> None:
    files = MemoryFiles({"/project/a": b"1\n"})
    apply_hunks(parse_patch(update("a", "*** Move to: ./a", "@@", "-1", "+2")), CWD, files)
    assert files.files == {"/project/a": b"2\n"}


def test_a_binary_file_may_be_deleted_or_overwritten() -> None:
    files = MemoryFiles({"/project/a": b"\xff", "/project/b": b"\xff"})
    plan = plan_patch(patch("*** Delete File: a", "*** Add File: b", "+text"), CWD, files)
    assert file_changes(plan.revisions) == (
        FileUpdateChange(path="/project/a", kind=DeleteChange(), diff=""),
        FileUpdateChange(path="/project/b", kind=AddChange(), diff="text\n"),
    )


# --- reporting -------------------------------------------------------------------------------------------------------


def test_clients_see_whole_contents_of_new_and_deleted_files_and_hunks_of_the_others() -> None:
    revisions = (
        FileRevision(path="/p/add", before=None, after=b"1\n2\n"),
        FileRevision(path="/p/delete", before=b"x\n", after=None),
        FileRevision(path="/p/unread", before=UNREAD, after=None),
        FileRevision(path="/p/over", before=b"x\n", after=b"y\n"),
        FileRevision(path="/p/from", before=b"hello world\n", after=b"hello patched world\n", moved_to="/p/to"),
    )

    assert file_changes(revisions) == (
        FileUpdateChange(path="/p/add", kind=AddChange(), diff="1\n2\n"),
        FileUpdateChange(path="/p/delete", kind=DeleteChange(), diff="x\n"),
        FileUpdateChange(path="/p/unread", kind=DeleteChange(), diff=""),
        FileUpdateChange(path="/p/over", kind=UpdateChange(), diff="@@ -1 +1 @@\n-x\n+y\n"),
        FileUpdateChange(
            path="/p/from",
            kind=UpdateChange(move_path="/p/to"),
            diff="@@ -1 +1 @@\n-hello world\n+hello patched world\n",
        ),
    )


def test_a_refused_patch_names_its_verification() -> None:
    with pytest.raises(PatchError) as caught:
        parse_patch("nonsense")
    assert verification_failure(caught.value) == (
        "apply_patch verification failed: invalid patch: The first line of the patch must be '*** Begin Patch'"
    )


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_takes_the_patch_as_its_argument() -> None:
    files = MemoryFiles(folders=(CWD,))
    result = run_command(["apply_patch", patch("*** Add File: a", "+1")], b"", CWD, files)
    assert result == CommandResult(exit_code=0, stdout="Success. Updated the following files:\nA a\n")
    assert files.files == {"/project/a": b"1\n"}


def test_the_command_refuses_other_numbers_of_arguments_and_text_that_is_none() -> None:
    files = MemoryFiles(folders=(CWD,))
    assert run_command(["apply_patch", "a", "b"], b"", CWD, files).exit_code == EXIT_USAGE
    assert run_command(["apply_patch"], b"", CWD, files).exit_code == EXIT_USAGE
    assert run_command(["apply_patch"], b"\xff", CWD, files).exit_code == 1
