"""``callboard completion SHELL``: what a shell may offer after ``callboard``, made from the parser itself."""

from __future__ import annotations

import argparse
from typing import Final

SHELLS: Final = ("bash", "zsh", "fish")


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """A script to be sourced by the shell."""
    verbs = _verbs(parser)
    match shell:
        case "bash":
            return _bash(verbs)
        case "zsh":
            # zsh runs bash's completions well enough, and one script cannot disagree with the other.
            return f"autoload -Uz bashcompinit && bashcompinit\n{_bash(verbs)}"
        case _:
            return _fish(verbs)


def _verbs(parser: argparse.ArgumentParser) -> dict[str, tuple[str, list[argparse.Action]]]:
    """By verb: its help and its options."""
    [verbs] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    helps = {choice.dest: choice.help or "" for choice in verbs._choices_actions}
    return {
        name: (
            helps.get(name, ""),
            [action for action in verb._actions if action.option_strings and action.help != argparse.SUPPRESS],
        )
        for name, verb in verbs.choices.items()
    }


def _bash(verbs: dict[str, tuple[str, list[argparse.Action]]]) -> str:
    cases = "\n".join(
        f'    {name}) words="{" ".join(option for action in actions for option in action.option_strings)}" ;;'
        for name, (_, actions) in verbs.items()
    )
    return f"""\
_callboard() {{
  local words verb="" word
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$word" in -*) ;; *) verb="$word"; break ;; esac
  done
  case "$verb" in
    "") words="{" ".join(verbs)} --help --version" ;;
{cases}
    *) words="" ;;
  esac
  case "${{COMP_WORDS[COMP_CWORD]}}" in
    -*) COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}")) ;;
    *) if [ -z "$verb" ]; then COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
       else COMPREPLY=($(compgen -f -- "${{COMP_WORDS[COMP_CWORD]}}")); fi ;;
  esac
}}
complete -F _callboard callboard
"""


def _fish(verbs: dict[str, tuple[str, list[argparse.Action]]]) -> str:
    lines = ["complete -c callboard -f"]
    for name, (about, actions) in verbs.items():
        lines.append(f"complete -c callboard -n __fish_use_subcommand -a {name} -d {_quoted(about)}")
        for action in actions:
            flags = " ".join(
                f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
                for option in action.option_strings
            )
            value = "" if action.nargs == 0 else " -r"
            lines.append(
                f"complete -c callboard -n '__fish_seen_subcommand_from {name}' {flags}{value} "
                f"-d {_quoted(action.help or '')}"
            )
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("%%", "%") + "'"
