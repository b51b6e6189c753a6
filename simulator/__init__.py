"""A fleet of virtual SMFs and PGWs that charges over N40."""

__version__ = "0.1.0"
