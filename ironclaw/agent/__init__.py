"""The turn loop: from one message to its answer, through a model and tools. No store, no hub, no HTTP."""

from ironclaw.agent.approvals import Policy
from ironclaw.agent.loop import Agent, AgentLimits
from ironclaw.agent.prompt import Briefing
from ironclaw.agent.toolbox import Toolbox
from ironclaw.agent.turn import Action, Compacted, Paused, Request, Resume, Tally, Turn

__all__ = [
    "Action",
    "Agent",
    "AgentLimits",
    "Briefing",
    "Compacted",
    "Paused",
    "Policy",
    "Request",
    "Resume",
    "Tally",
    "Toolbox",
    "Turn",
]
