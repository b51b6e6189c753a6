"""What the fleet's tests share with those of HTTP/2."""

from tests.http2.conftest import certificates

__all__ = ["certificates"]
