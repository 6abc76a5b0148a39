"""The event log and the fan-out: event ids, what is kept, who gets what. It knows events, not what they are about.

`log` keeps events on disk, `hub` gives ids and releases events in their order, `channels` brings them to clients.
"""

from ironclaw.hub.channels import Client, Frames, Released
from ironclaw.hub.hub import Hub, ReaderTooSlow, Subscription
from ironclaw.hub.log import MIGRATIONS

__all__ = ["MIGRATIONS", "Client", "Frames", "Hub", "ReaderTooSlow", "Released", "Subscription"]
