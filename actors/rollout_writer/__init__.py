"""The log: every conversation on disk, and what it means when it is read again.

What lines say                     forms, kept   the shapes of payloads and of items in them
                                   shown         thread items in their persisted form, and back
                                   lines         records to JSONL lines
                                   parsing       JSONL lines to records
What a file means (pure)           transcript    a history in the making: valid for every provider at every instant
                                   projection    records folded into a thread
                                   loaded        that thread, as a value
                                   recovery      what becomes of what a crash left open
                                   validity      an independent check of histories, for tests
Writing                            core          group commit, decided
                                   disk          one rollout on disk: whole records or nothing
                                   actor         the writer: performs what core decides
Text that is still growing         checkpoints   which texts, and what of them is kept after a crash
                                   journal       where they are kept
Reading                            paths         where rollouts are
                                   reader        finding and loading them
Lists                              index         SQLite, derived from the files
                                   keeper        keeping it true

The format is described in docs/rollouts.md. Who loads a thread calls `reader.load_thread`, then `recovery.recover`,
appends the records that gives, and goes on from `LoadedThread.transcript`.
"""
