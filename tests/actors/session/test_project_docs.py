"""AGENTS.md: which files hold in a folder, in which order, and what is said of those that do not."""

from __future__ import annotations

from actors.session.project_docs import DocRules, Docs, read_docs
from tests.actors.tool_worker.memory_files import MemoryFiles

RULES = DocRules(home="/home")


def read(files: dict[str, bytes], cwd: str = "/p/a/b", rules: DocRules = RULES) -> Docs:
    return read_docs(MemoryFiles(files, folders=("/p/.git", "/p/a/b", "/home")), cwd, rules)  # type: ignore[arg-type]  # has the verbs that are used


def rendered(cwd: str, body: str) -> str:
    return f"# AGENTS.md instructions for {cwd}\n\n<INSTRUCTIONS>\n{body}\n</INSTRUCTIONS>"


def test_the_users_file_comes_first_then_the_projects_from_its_root_to_the_folder() -> None:
    docs = read(
        {
            "/home/AGENTS.md": b"mine",
            "/p/AGENTS.md": b"root",
            "/p/a/AGENTS.md": b"middle",
            "/p/a/b/AGENTS.override.md": b"instead",
            "/p/a/b/AGENTS.md": b"not this",
            "/AGENTS.md": b"outside the project",
        }
    )
    assert docs.text == rendered("/p/a/b", "mine\n\n--- project-doc ---\n\nroot\n\nmiddle\n\ninstead")
    assert docs.paths == ("/home/AGENTS.md", "/p/AGENTS.md", "/p/a/AGENTS.md", "/p/a/b/AGENTS.override.md")
    assert docs.warnings == ()


def test_without_a_root_only_the_folder_itself_counts() -> None:
    files = {"/q/AGENTS.md": b"above", "/q/r/AGENTS.md": b"here"}
    assert read(files, "/q/r").text == rendered("/q/r", "here")


def test_other_names_and_other_roots_can_be_configured() -> None:
    rules = DocRules(home="/home", fallback_names=("CLAUDE.md",), root_markers=("WORKSPACE",))
    files = {"/q/WORKSPACE": b"", "/q/CLAUDE.md": b"root", "/q/r/x": b""}
    assert read(files, "/q/r", rules).text == rendered("/q/r", "root")


def test_an_empty_override_of_the_user_does_not_hide_the_file_behind_it() -> None:
    assert read({"/home/AGENTS.override.md": b" \n", "/home/AGENTS.md": b"mine"}).text == rendered("/p/a/b", "mine")


def test_nothing_to_say_is_no_message() -> None:
    assert read({}) == Docs()


def test_the_project_shares_one_budget_and_what_does_not_fit_is_said() -> None:
    files = {"/home/AGENTS.md": b"m" * 100, "/p/AGENTS.md": "ääää".encode(), "/p/a/AGENTS.md": b"late"}
    docs = read(files, rules=DocRules(home="/home", max_bytes=5))
    assert docs.text == rendered("/p/a/b", "m" * 100 + "\n\n--- project-doc ---\n\nää")
    assert docs.warnings == (
        "/p/AGENTS.md is cut after 5 bytes: project_doc_max_bytes allows no more.",
        "/p/a/AGENTS.md is left out: project_doc_max_bytes is used up by the files above it.",
    )
    assert read(files, rules=DocRules(home="/nobody", max_bytes=0)) == Docs()


def test_what_is_not_utf_8_is_replaced_and_said() -> None:
    docs = read({"/p/AGENTS.md": b"be \xff brief"})
    assert docs.text == rendered("/p/a/b", "be \ufffd brief")
    assert docs.warnings == ("/p/AGENTS.md is not all UTF-8; what is not was replaced.",)
