"""What model calls used and cost. Who made the call is a scope: a thread, later a job or `/v1`."""
