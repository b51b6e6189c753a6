"""The version: of the package, of every run's record, and of the protocol between drivers and engines."""

__version__ = "0.1.0"
