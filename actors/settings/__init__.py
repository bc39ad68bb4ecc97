"""Settings: layers of configuration, merged and validated into snapshots. Nobody else reads files or environment.

places      pure: where in a TOML file a key stands
key_paths   pure: keys joined by dots
checking    pure: unknown names, wrong values, what is accepted
layers      pure: what a layer is, how layers become one snapshot, and where each value came from
projects    pure: what the file of a project may say, and when
edits       pure: changes to a file that keep its comments
core        pure: what is in force, what a write comes to
store       blocking: the files
actor       answers, writes, watches the files
reference   pure: the settings described, for people and for editors
borrowing   pure: the file of another program of this kind, in our words
"""
