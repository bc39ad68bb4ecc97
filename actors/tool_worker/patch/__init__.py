"""apply_patch: the patch language models write, from its text to changed files. Pure apart from the files it is given.

parse       text -> hunks (one per file); every leniency of the format and every error text lives there
locate      where a chunk's old lines are in a file: four passes, each more forgiving
rewrite     one file's content + its chunks -> new content, line endings kept
execute     hunks -> changed files, in order and without rollback; a plan is the same run over an overlay
line_diff   two texts -> unified hunks, in bounded time
report      what is told to the model, to the client's screen and on the command's stdout
invocation  shell scripts that are nothing but a patch
command     the stand-alone `apply_patch` command

Source: CORE §1.4 of the functional reference, measured on the original; the matching order is from its source.
"""
