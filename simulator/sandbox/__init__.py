"""The embedded charging function: N40 over HTTP/2 with accounts, rating, repeats and books, and a management API.

`Chf` is the sans-IO core; `simulator.sandbox.process` runs it as a service (`serve_sandbox`) and as a child process.
"""

from simulator.sandbox.answers import Reply
from simulator.sandbox.chf import Chf, LocationForm

__all__ = ["Chf", "LocationForm", "Reply"]
