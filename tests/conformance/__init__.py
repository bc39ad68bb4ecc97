"""The real clients against the real daemon, and recorded conversations against ours: `make conformance`.

    __main__.py     what to run, one after another; the report
    clients.py      the real clients, installed by their package names into a cache outside the tree
    recording.py    every frame of a conversation: kept, and checked against the schemas as it passes
    tap.py          a proxy between a WebSocket client and the daemon that changes nothing and reads along
    terminal.py     a terminal (tmux) that a real TUI draws in and that flows type into
    stage.py        what each flow gets: a daemon, a model that plays what it is told, folders, a tap
    tui.py          flows of the TUI

Rejected: asserting on what a client library makes of our frames only (it hides what it ignores), and pinning whole
screens (a client redraws as it likes; what must be on the screen is a word or two).
"""
