"""The turn loop: from one message to its answer, through a model and tools. No store, no hub, no HTTP."""

from ironclaw.agent.loop import Agent, Tally, Turn
from ironclaw.agent.toolbox import Toolbox

__all__ = ["Agent", "Tally", "Toolbox", "Turn"]
