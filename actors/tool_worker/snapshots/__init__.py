"""Ghost snapshots: the worktree as it was before a turn's first change and at its end, so that a turn can be undone.

git.py      git run for us: whose objects, whose index, which settings
keeping.py  taking snapshots: one before and one after each turn that may change something
folders.py  which folders there were, and which an undo may remove
thread.py   the snapshots of one thread, turn by turn
undoing.py  taking a turn back: what it changed, whether that still stands, restoring it

They lie in a repository of our own (`$CALLBOARD_HOME/snapshots/NAME.git`, one per worktree) that borrows the objects of
the user's: the user's own refs, index and objects are never touched, and what was committed already costs nothing. What
.gitignore leaves out is not in it, nor are untracked files beyond the limits; an undo leaves all that as it is.

Rejected: copying the tree (slow and large), `git stash` (touches the user's refs and index), commits in the user's own
object store (they would be pushed, pruned and shown by tools that list unreachable commits).
"""
