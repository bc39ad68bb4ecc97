"""Who watches. Imports actors and messages; no actor imports this.

strategy     the numbers and choices, pure: restart types, intensity, backoff, whom a restart concerns
child        ChildSpec: how a supervisor is told about a child
plan         what a supervisor with a fixed list of children does next, pure
supervisor   one_for_one, one_for_all, rest_for_one: the shell around the plan
dynamic      children that come and go
tree         a whole tree from the outside
errors       StartError, EscalationError, StuckError
root         the daemon's own tree
daemon       the process around it

The words are OTP's. `docs/supervision.md` names the test of each semantic.
"""

from __future__ import annotations

__distribution__ = "callboard"

from supervisors.child import CANCEL_GRACE_SECONDS as CANCEL_GRACE_SECONDS
from supervisors.child import SHUTDOWN_SECONDS as SHUTDOWN_SECONDS
from supervisors.child import ChildSpec as ChildSpec
from supervisors.dynamic import DynamicSupervisor as DynamicSupervisor
from supervisors.dynamic import NotRunningError as NotRunningError
from supervisors.errors import EscalationError as EscalationError
from supervisors.errors import Failure as Failure
from supervisors.errors import StartError as StartError
from supervisors.errors import StuckError as StuckError
from supervisors.errors import SupervisionError as SupervisionError
from supervisors.strategy import AutoShutdown as AutoShutdown
from supervisors.strategy import Backoff as Backoff
from supervisors.strategy import Restart as Restart
from supervisors.strategy import RestartIntensity as RestartIntensity
from supervisors.strategy import Strategy as Strategy
from supervisors.supervisor import Supervisor as Supervisor
from supervisors.tree import Tree as Tree
from supervisors.tree import open_tree as open_tree
