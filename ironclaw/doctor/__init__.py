"""Looks for what is wrong with an installation, from inside (`ironclaw doctor`) and through its address (`--url`)."""
