"""What model calls used and cost, and the caps on it. Who made a call is a scope: a thread, later a job or `/v1`."""
