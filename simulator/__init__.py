"""A fleet of virtual SMFs and PGWs that charges over N40: `from simulator import run; result = run("demo")`."""

from simulator.run import run

__version__ = "0.1.0"

__all__ = ["__version__", "run"]
