"""What CHFs in the field do otherwise, as the sandbox's quirk presets mimic them: the cases that find each of them out."""

from __future__ import annotations

GRANTS_ON_CREATE = frozenset({
    "grant.create.amount", "grant.create.chf_chooses", "grant.create.several_groups", "grant.create.time",
    "grant.create.units",
})  # fmt: skip

PRESETS: dict[str, frozenset[str]] = {
    "sigscale": frozenset({
        "create.data.without_usage", "release.status", "release.body", "answer.create.timestamp", "answer.update.timestamp",
        "location.absolute", "reference.unknown.problem", "reference.unknown.cause",
    }),
    "free5gc": GRANTS_ON_CREATE | {
        "event.location", "answer.update.final_unit", "reference.unknown.cause",
        "problem.cause", "subscriber.unknown.cause",
    },
    "totogi": frozenset({"location.absolute", "location.addressable"}),
}  # fmt: skip
"""At least these deviate; a preset may have quirks that more cases meet on their way."""
