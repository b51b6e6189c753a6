"""A plan as a page for the terminal; it needs nothing but the plan's JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from simulator.report import words
from simulator.report.layout import below, bullets, columns

Json = Mapping[str, Any]

_BITS: Final = (("Tbit/s", 1e12), ("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3))


def render(plan: Json) -> RenderableType:
    """What to print for a plan."""
    return Group(*_parts(plan))


def _parts(plan: Json) -> Iterator[RenderableType]:
    yield _title(plan)
    yield from below(_operations(plan))
    yield from below(_usages(plan["usages"]))
    if not plan["flat"]:
        yield from below(_over_time(plan))
    yield from below(_functions(plan))
    yield from below(_facts(plan))
    yield from below(_sources(plan))


def _title(plan: Json) -> Text:
    pace = f"pace {plan['pace']:g}x"
    text = Text.assemble(
        (plan["profile"], "bold"), f" for {plan['subscribers']:,} subscribers, {pace}, {plan['mode']} loop"
    )
    sample = plan["sample"]
    text.append(
        f"\nsmfleet {plan['version']}, seed {plan['seed']}: {sample['devices']:,} devices played in virtual time, "
        f"{sample['requests']:,} requests; answers take {words.latency(plan['latency_s'] * 1e6)}",
        style="dim",
    )
    for note in plan["notes"]:
        text.append(f"\nnote: {note}", style="yellow")
    return text


def _operations(plan: Json) -> Table:
    table = columns("operation", "requests/s\nmean", "\npeak", "\n+/-")
    rows = [*plan["operations"].items(), ("all", plan["all"])]
    for name, figures in rows:
        style = "bold" if name == "all" else ""
        table.add_row(name, words.count(figures["mean"]), words.count(figures["peak"]), _error(figures), style=style)
    return table


def _usages(usages: Mapping[str, Json]) -> Table:
    table = columns("usage", "starts/s", "life", "open", "requests\neach", "\nper s")
    for name, usage in usages.items():
        table.add_row(
            name,
            words.count(usage["arrivals_per_s"]),
            words.latency(usage["life_s"] * 1e6) if usage["life_s"] < 1 else words.seconds(usage["life_s"]),
            words.count(usage["sessions_open"]),
            f"{usage['requests_per_session']:.2f}",
            words.count(usage["requests_per_s"]),
        )
    return table


def _over_time(plan: Json) -> Table:
    table = columns("from", "starts", "open", "create", "update", "release", "event", "Mbit/s\nsent", "\nreceived")
    for row in plan["over_time"]:
        names = ("arrivals_per_s", "sessions_open", "create_per_s", "update_per_s", "release_per_s", "event_per_s")
        table.add_row(
            _clock(row["from_s"]),
            *(_short(row[name]) for name in names),
            *(_short(row[f"{way}_octets_per_s"] * 8 / 1e6) for way in ("sent", "received")),
        )
    return table


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds: 0:02:30."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _short(value: float) -> str:
    """A figure in a narrow column: 1.94 M, 23.8 k, 575."""
    for size, letter in ((1e6, "M"), (1e4, "k")):
        if value >= size:
            scaled = value / (1e6 if letter == "M" else 1e3)
            return f"{scaled:,.{2 if scaled < 9.995 else 1 if scaled < 99.95 else 0}f} {letter}"
    return words.count(value)


def _functions(plan: Json) -> Table:
    headings = ("requests/s\neach", "under\nway", "streams\nneeded", "\nit has", "connections\nneeded", "\nit has")
    table = columns("function", "", *headings)
    for need in plan["network_functions"]:
        table.add_row(
            need["name"],
            f"x {need['instances']:,}",
            words.count(need["requests_per_s"]),
            words.count(need["in_flight"]),
            f"{need['streams']:,}",
            f"{need['streams_of_profile']:,}",
            f"{need['connections']:,}",
            f"{need['connections_of_profile']:,}",
            style="" if need["enough"] else "yellow",
        )
    return table


def _facts(plan: Json) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in _lines(plan):
        grid.add_row(name, value)
    return grid


def _lines(plan: Json) -> Iterator[tuple[str, Text]]:
    arrivals, engines = plan["arrivals"], plan["engines"]
    text = Text(f"{words.count(arrivals['intended_per_s'])}/s")
    if not plan["flat"]:
        text.append(f", {words.count(arrivals['peak_per_s'])}/s at the peak")
    if arrivals["busy_share"] >= 0.0005:
        text.append(f"; {arrivals['busy_share']:.1%} find their device busy and are dropped", "yellow")
    yield "arrivals", text
    yield "sessions", Text(_mean_and_peak(plan["sessions_open"], words.count, flat=plan["flat"]) + " open")
    for way, word in (("sent", "to the CHF"), ("received", "from the CHF")):
        figures = plan["octets_per_s"][way]
        share = figures["bodies"] / figures["mean"]
        yield (
            word,
            Text(
                f"{_mean_and_peak(figures, _bits, flat=plan['flat'])}; {share:.0%} of that bodies, the rest estimated"
            ),
        )
    memory = words.amount(round(engines["session_octets"]), "totalVolume")
    yield "memory", Text(f"{memory} for open sessions, {plan['octets_per_session']:,} octets each")
    short = [need for need in plan["network_functions"] if not need["enough"]]
    yield "connections", _verdict(short)
    machines = engines["machines"]
    per_machine = words.amount(round(engines["octets_per_machine"]), "totalVolume")
    yield (
        "engines",
        Text.assemble(
            (
                f"{engines['cores']:,} core{'s' * (engines['cores'] > 1)}, {machines:,} machine{'s' * (machines > 1)}",
                "bold",
            ),
            f" of {engines['cores_per_machine']} cores, with {per_machine} for sessions in each",
        ),
    )


def _verdict(short: list[Json]) -> Text:
    if not short:
        return Text("the profile has enough", "green")
    told = " and ".join(
        f"{need['connections']:,} for each {need['name']} (it has {need['connections_of_profile']:,})" for need in short
    )
    return Text(
        f"too few: connections.per_network_function has to be {told}, or there have to be more instances", "yellow"
    )


def _sources(plan: Json) -> RenderableType:
    engines, profile = plan["engines"], f"its {plan['subscribers_of_profile']:,} subscribers"
    per_core = words.count(engines["requests_per_core"])
    arrivals = (
        f"Arrivals are the profile's, scaled with {profile} unless --rate is given, in equilibrium from the beginning."
    )
    errors = "+/- is twice the standard error of the sample."
    octets = (
        "Octets are those of HTTP/2: bodies as played, header fields and frames estimated; TCP, IP and TLS come on top."
    )
    streams = "Streams: requests per second x latency, for twice the latency, and four standard deviations of chance."
    cores = f"A core makes {per_core} requests per CPU-second ({engines['origin']}) and is {engines['utilisation']:.0%} busy."
    lines = [f"{arrivals} {errors}", octets, streams, cores]
    return bullets(lines)


def _mean_and_peak(figures: Json, word: Any, *, flat: bool) -> str:
    peak = "" if flat else f", {word(figures['peak'])} at the peak"
    return f"{word(figures['mean'])}{peak} (+/- {_error(figures)})"


def _error(figures: Json) -> str:
    return f"{2 * figures['relative_error']:.1%}"


def _bits(octets_per_s: float) -> str:
    bits = 8 * octets_per_s
    for unit, size in _BITS:
        if bits >= size:
            return f"{bits / size:.3g} {unit}"
    return f"{bits:.0f} bit/s"
