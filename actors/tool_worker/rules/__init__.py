"""The user's rules on commands: `prefix_rule(pattern=["git", "push"], decision="prompt")` in `*.rules` files.

language  a rules file's text -> rules; reads a subset of Starlark and evaluates nothing
matching  a command and the rules -> what they say of it
folders   which files apply where, read and remembered; how a rule is added to one
actor     keeps them for the daemon: one writer, so that an amendment is whole and counts for the next question

Source: CORE §2.5. Stricter here than there: a file that cannot be read makes every command a question instead of
dropping what it forbade; a rule that *allows* a program by its bare name allows it by its path only in a system folder
or where `host_executable` says so; what a rule prompts for or forbids is also looked for inside substitutions, control
flow and wrappers such as `env` and `sudo`.
"""
