"""The command `smfleet`: what a person types, what the terminal shows, and the exit code a script reads.

Exit codes: 0 pass, 1 a threshold or the audit failed, 2 could not run as asked, 3 the generator was the limit, 130 interrupted.
"""

from simulator.cli.app import main

__all__ = ["main"]
