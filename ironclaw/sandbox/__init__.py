"""Runs programs that may do no harm: in a folder of their own, cut off from all else, within hard limits.

`protocol` says what a sandbox is, `bubblewrap` and `docker` are the two kinds, `choice` takes the one that works here,
`watcher` ends what passes its limits. What is run and why is its caller's: jobs, and the servers of extensions.
"""
