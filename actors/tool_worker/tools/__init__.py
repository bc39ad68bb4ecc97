"""The tools, one file each; `all_tools` is every one there is.

exec_command  run a command, and come back when it ends or the wait is over
write_stdin   type into a running command, or look at it again
shell         run one program to its end
apply_patch   change files by a patch
read_file     lines of a file
list_dir      entries of a directory tree
grep_files    which files match a pattern
file_search   which paths are like a few letters
view_image    look at an image file
web_search    the provider searches the web; we run nothing
read_handle   a part of a large value that a script left
request_user_input  put questions to people
request_permissions  ask people for rights beyond the sandbox
update_plan   the steps of the work, for people to see
client_tool   what a client offered with its thread and runs itself
user_shell    a person's own command; offered to no model
"""

from __future__ import annotations

from actors.tool_worker.registry import Registry
from actors.tool_worker.tools.apply_patch import ApplyPatch
from actors.tool_worker.tools.exec_command import ExecCommand
from actors.tool_worker.tools.file_search import FileSearch
from actors.tool_worker.tools.grep_files import GrepFiles
from actors.tool_worker.tools.list_dir import ListDir
from actors.tool_worker.tools.read_file import ReadFile
from actors.tool_worker.tools.read_handle import ReadHandle
from actors.tool_worker.tools.request_permissions import RequestPermissions
from actors.tool_worker.tools.request_user_input import RequestUserInput
from actors.tool_worker.tools.shell import Shell
from actors.tool_worker.tools.update_plan import UpdatePlan
from actors.tool_worker.tools.view_image import ViewImage
from actors.tool_worker.tools.web_search import WebSearch
from actors.tool_worker.tools.write_stdin import WriteStdin


def all_tools() -> Registry:
    """Every tool, in the order a model is told of them."""
    return Registry(
        (
            ExecCommand(),
            WriteStdin(),
            Shell(),
            ApplyPatch(),
            ReadFile(),
            ListDir(),
            GrepFiles(),
            FileSearch(),
            ViewImage(),
            ReadHandle(),
            WebSearch(),
            RequestUserInput(),
            RequestPermissions(),
            UpdatePlan(),
        ),
    )
