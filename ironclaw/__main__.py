"""`python -m ironclaw` is the command `ironclaw`."""

from ironclaw.cli import main

main()
