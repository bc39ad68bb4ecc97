"""Hooks: a user's own programs, told what happens and able to object.

core.py     pure: which hooks an event has, what is trusted, what a program's exit and output mean
payload.py  pure: what a program is told, as JSON on its standard input
runner.py   runs the programs of one event side by side, contained and within their time

    tool_worker ──PreToolUse, PostToolUse──▶ Hooks.run ──▶ programs
    session ────── SessionStart, UserPromptSubmit, PermissionRequest, Stop, SessionEnd ──▶ (a child of the session's)

A program that breaks down, or is not trusted, objects to nothing: what it did is said on every client's screen. Source
of the events, their input and what may be answered: CORE §4.7.
"""
