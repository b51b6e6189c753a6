"""A fleet of virtual SMFs and PGWs that charges over N40: `from simulator import run; result = run("demo")`."""

from simulator.run import run
from simulator.version import __version__

__all__ = ["__version__", "run"]
