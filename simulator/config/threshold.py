"""A threshold of a profile: one line, or a mapping that says the same part by part."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from simulator.config.errors import one_line, problem
from simulator.config.model import Model
from simulator.measure.expressions import ThresholdError, parse_threshold


class LongThreshold(Model):
    """A threshold part by part."""

    expect: str
    """Such as `response.update.p99 < 50ms`."""
    over: str | None = None
    """run, steady, or a moving window such as 10s; null: what is usual for the figure."""
    level: Literal["fail", "warn"] = "fail"
    """A warning is shown and counted, and fails no run."""
    abort: bool = False
    """Whether the load ends as soon as it cannot hold any more."""

    @property
    def text(self) -> str:
        """The same as one line."""
        conditions = (
            f" over {self.over}" if self.over is not None else "",
            " warn" if self.level == "warn" else "",
            " abort" if self.abort else "",
        )
        return self.expect + "".join(conditions)


def _as_text(given: Any) -> Any:
    return LongThreshold.model_validate(given).text if isinstance(given, dict) else given


def _readable(text: str) -> str:
    try:
        parse_threshold(text)
    except ThresholdError as error:
        raise problem(one_line(error)) from None
    return text


ThresholdText = Annotated[
    str, BeforeValidator(_as_text, json_schema_input_type=str | LongThreshold), AfterValidator(_readable)
]
"""One line, whichever way it was written."""
