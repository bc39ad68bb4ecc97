"""The kernel: how actors are reached, asked, watched and named. Knows nothing of what they do.

errors        what can go wrong between two actors, as a tree
signals       the messages the kernel itself sends: Down, Shutdown, Unanswered
mailbox       the receiving end: two bounded lanes, drained in batches
address       the sending end of one life: send, ask, request
reply         the right to reply once
watch         exactly one Down per watch
directory     service names that outlive their actors, and addresses that follow them
dead_letters  what reached nobody, counted
poison        inputs that crash their actor each time
context       ``ctx``: an actor's place in the tree
children      running one life so that its crash stays its own; an actor's temporary children
tree          the live tree as data
report        what happened to children, in four words
system        what all of these share in one daemon
lag           how late the loop is, in buckets
watchdog      the actor that measures it, and catches what blocks the loop

A whole actor:

    COUNTER: Service[Add | GetTotal] = Service("counter")

    async def run(ctx: Context, *, task_status: trio.TaskStatus[None]) -> None:
        mailbox: Mailbox[Add | GetTotal] = ctx.open_mailbox(capacity=64)
        ctx.publish(COUNTER, mailbox.address)
        task_status.started()
        total = 0
        while True:
            for message, reply in await mailbox.receive():
                match message:
                    case Add():
                        total += message.amount
                    case GetTotal():
                        if reply is not None:
                            reply.answer(total)
                    case _:
                        assert_never(message)

    await ctx.directory.address(COUNTER).ask(GetTotal(), int)
"""

from __future__ import annotations

from actors.kernel.address import Address as Address
from actors.kernel.children import Child as Child
from actors.kernel.children import Children as Children
from actors.kernel.children import ChildStarter as ChildStarter
from actors.kernel.children import Ending as Ending
from actors.kernel.children import Life as Life
from actors.kernel.children import NotStartedError as NotStartedError
from actors.kernel.children import Start as Start
from actors.kernel.children import run_life as run_life
from actors.kernel.context import Context as Context
from actors.kernel.dead_letters import DeadLetter as DeadLetter
from actors.kernel.dead_letters import DeadLetters as DeadLetters
from actors.kernel.directory import Directory as Directory
from actors.kernel.directory import Service as Service
from actors.kernel.directory import ServiceAddress as ServiceAddress
from actors.kernel.errors import DownError as DownError
from actors.kernel.errors import KernelError as KernelError
from actors.kernel.errors import MailboxFullError as MailboxFullError
from actors.kernel.errors import NameTakenError as NameTakenError
from actors.kernel.errors import OutcomeUnknownError as OutcomeUnknownError
from actors.kernel.errors import PoisonError as PoisonError
from actors.kernel.errors import ReplyTypeError as ReplyTypeError
from actors.kernel.errors import SecondReplyError as SecondReplyError
from actors.kernel.mailbox import DEFAULT_CAPACITY as DEFAULT_CAPACITY
from actors.kernel.mailbox import MAX_BATCH as MAX_BATCH
from actors.kernel.mailbox import Full as Full
from actors.kernel.mailbox import Mailbox as Mailbox
from actors.kernel.mailbox import open_mailbox as open_mailbox
from actors.kernel.poison import Poison as Poison
from actors.kernel.poison import message_key as message_key
from actors.kernel.reply import Reply as Reply
from actors.kernel.report import Report as Report
from actors.kernel.signals import Down as Down
from actors.kernel.signals import DownReason as DownReason
from actors.kernel.signals import Shutdown as Shutdown
from actors.kernel.signals import Unanswered as Unanswered
from actors.kernel.system import System as System
from actors.kernel.tree import Node as Node
from actors.kernel.watch import Watch as Watch
from actors.kernel.watch import watch as watch
