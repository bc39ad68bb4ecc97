"""What callboard costs, measured: one file per claim, and a load generator over the real wire. `make bench` runs it.

    harness.py          measuring: interleaved rounds, medians, ratios against a named baseline
    report.py           tables for the terminal, results as JSON
    picture.py          the same as SVG
    streams.py          made-up Responses streams
    micro_*.py          the claims, each beside what would be the obvious way to do it
    load/               the whole daemon as a process of its own, driven by many clients
    neutral_rig.py      runs a rig that knows nothing of us (not part of this repository) and renders its figures

    python -m bench                      everything, about three minutes
    python -m bench micro [NAME …]       the small ones
    python -m bench load [SCENARIO …]    the whole daemon

Results go to ``bench/out``. README.md says how to read them, RESULTS.md what came out on one machine.
"""
