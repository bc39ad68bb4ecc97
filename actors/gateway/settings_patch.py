"""What clients ask a thread or a turn to run under, in our words. Pure."""

from actors.gateway.sandbox import NO_PROFILES, policy_patch
from actors.tool_worker.confinement.profiles import Profiles
from messages.approval import ApprovalPolicy
from messages.client.turn import ApprovalPolicyParam, SettingsFields, ToolChoiceParam
from messages.session import CollaborationMode, SettingsPatch
from messages.settings import Settings
from messages.tool_set import ToolSelection


def policy_of(asked: ApprovalPolicyParam | None) -> ApprovalPolicy | None:
    """Our policy for a client's; None if it did not say."""
    if asked is None:
        return None
    return "on-request" if asked == "on-failure" else asked


def patch_of(fields: SettingsFields, profiles: Profiles = NO_PROFILES) -> SettingsPatch | None:
    """The changes that came with a turn, or on their own; None if there are none. ``profiles``: the user's own
    permission profiles. Raises RpcError."""
    mode = None if fields.collaboration_mode is None else fields.collaboration_mode.settings
    chosen = fields.callboard_tools
    patch = SettingsPatch(
        model=(mode.model if mode is not None else None) or fields.model,
        provider=fields.model_provider,
        cwd=fields.cwd,
        approval_policy=policy_of(fields.approval_policy),
        reasoning_effort=(mode.reasoning_effort if mode is not None else None) or fields.effort,
        reasoning_summary=fields.summary,
        mode=None if fields.collaboration_mode is None else mode_of(fields.collaboration_mode.mode),
        tools=None if chosen is None else selection_of(chosen),
        base_instructions=fields.base_instructions,
        show_reasoning=fields.show_reasoning,
        developer_instructions=None if mode is None else mode.developer_instructions,
        **policy_patch(fields.sandbox_policy, fields.permissions, profiles),
    )
    return None if patch == SettingsPatch() else patch


def mode_of(name: str) -> CollaborationMode:
    """Our mode for a client's; of those there are, only one differs for us."""
    return "plan" if name == "plan" else "default"


def selection_of(chosen: ToolChoiceParam) -> ToolSelection:
    """A client's whole choice of tools: what it leaves out is as it is without a choice."""
    return ToolSelection(
        only=chosen.only,
        without=chosen.without,
        web_search=chosen.web_search or "cached",
        questions=chosen.questions or "plan",
    )


def configured_selection(settings: Settings) -> ToolSelection:
    """The choice of a thread that begins, as its settings say."""
    tools = settings.tools
    return ToolSelection(
        only=tools.enabled,
        without=tools.disabled,
        web_search=settings.web_search,
        questions=tools.questions,
    )
