"""Scripts that are exactly one patch are taken as that; everything else is the shell's."""

from __future__ import annotations

import pytest

from actors.tool_worker.patch.invocation import HeredocPatch, is_raw_patch, parse_heredoc_invocation

BODY = "*** Begin Patch\n*** Add File: a\n+$x `y` \\n\n*** End Patch\n"


@pytest.mark.parametrize(
    ("script", "workdir"),
    [
        (f"apply_patch <<'EOF'\n{BODY}EOF\n", None),
        (f"applypatch <<EOF\n{BODY}EOF", None),
        (f'apply_patch <<"Ende"\n{BODY}Ende', None),
        (f"cd src && apply_patch <<'EOF'\n{BODY}EOF", "src"),
        (f"cd 'my src' && apply_patch <<'EOF'\n{BODY}EOF", "my src"),
        (f"cd \"/a b\" && apply_patch <<'EOF'\n{BODY}EOF\n\n", "/a b"),
    ],
)
def test_a_patch_in_a_heredoc_is_found_and_taken_literally(script: str, workdir: str | None) -> None:
    assert parse_heredoc_invocation(script) == HeredocPatch(patch=BODY, workdir=workdir)


@pytest.mark.parametrize(
    "script",
    [
        "apply_patch",
        "apply_patch 'x'",
        f"apply_patch x <<'EOF'\n{BODY}EOF",
        f"apply_patch <<'EOF' && rm x\n{BODY}EOF",
        f"apply_patch <<'EOF' | cat\n{BODY}EOF",
        f"apply_patch <<'EOF' > log\n{BODY}EOF",
        f"apply_patch <<'EOF'\n{BODY}EOF\nmake test",
        f"apply_patch <<-'EOF'\n{BODY}EOF",
        f"cd src; apply_patch <<'EOF'\n{BODY}EOF",
        f"cd src || apply_patch <<'EOF'\n{BODY}EOF",
        f"cd a && cd b && apply_patch <<'EOF'\n{BODY}EOF",
        f"cd $HOME && apply_patch <<'EOF'\n{BODY}EOF",
        f"cd ~ && apply_patch <<'EOF'\n{BODY}EOF",
        f"cd - && apply_patch <<'EOF'\n{BODY}EOF",
        f"PATH=. apply_patch <<'EOF'\n{BODY}EOF",
        f"./apply_patch <<'EOF'\n{BODY}EOF",
        f"echo apply_patch <<'EOF'\n{BODY}EOF",
        f"apply_patch <<'EOF'\n{BODY}",
        f"apply_patch <<EO F\n{BODY}EO F",
        f"apply_patch <<'EOF'\n{BODY} EOF",
        f"cd '' && apply_patch <<'EOF'\n{BODY}EOF",
        BODY,
    ],
)
def test_anything_more_or_less_is_left_to_the_shell(script: str) -> None:
    assert parse_heredoc_invocation(script) is None


def test_a_patch_may_be_empty_or_large_and_hold_its_own_word_inside_a_line() -> None:
    assert parse_heredoc_invocation("apply_patch <<E\nE") == HeredocPatch(patch="\n")
    large = "+ E ${a" * 100_000 + "\n"
    assert parse_heredoc_invocation(f"apply_patch <<E\n{large}E") == HeredocPatch(patch=large)


def test_a_script_that_is_itself_a_patch_is_told_apart() -> None:
    assert is_raw_patch("\n" + BODY)
    assert not is_raw_patch(f"apply_patch <<'EOF'\n{BODY}EOF")
