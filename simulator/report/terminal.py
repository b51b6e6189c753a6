"""The summary as a page for the terminal; it needs nothing but the summary, so a saved one can be shown again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from simulator.measure.figures import OPERATIONS
from simulator.report import words
from simulator.report.audit_page import audit_page
from simulator.report.layout import below, bullets, columns

Json = Mapping[str, Any]

VERDICT_STYLES: Final = {"pass": "bold green", "fail": "bold red", "invalid": "bold magenta"}

_MOST_EVENTS: Final = 12
_COUNT_HEADINGS: Final = ("requests", "ok", "denied", "failed", "repeated", "req/s")
_LATENCY_HEADINGS: Final = ("queue\np99", "service\np50", "\np99", "\nmax", "response\np50", "\np99", "\nmax")
_USAGE_HEADINGS: Final = (
    "sessions\nstarted", "\nfailed", "requests\nall", "\ndenied", "\nfailed", "response\np50", "\np99",
)  # fmt: skip
_LATENCY_CELLS: Final = (
    ("queue", "p99"), ("service", "p50"), ("service", "p99"), ("service", "max"), ("response", "p50"),
    ("response", "p99"), ("response", "max"),
)  # fmt: skip
_CONNECTION_TROUBLE: Final = ("lost", "reconnects", "goaways", "resets", "refused", "protocol_errors")


def render(summary: Json) -> RenderableType:
    """What to print for a summary; the layout follows the width of the console that prints it."""
    return _Page(summary)


class _Page:
    def __init__(self, summary: Json) -> None:
        self._summary = summary

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        summary = self._summary
        yield _title(summary)
        yield from _limited(summary["generator"])
        yield from _operations(summary, console, options)
        yield from _usages(summary["usages"])
        yield from below(_facts(summary))
        yield from _engines(summary["engines"])
        yield from audit_page(summary["audit"])
        yield from _thresholds(summary["thresholds"])
        yield from _verdict(summary)


def _title(summary: Json) -> Text:
    target = f"{summary['target']} (the sandbox)" if summary["sandbox"] else summary["target"]
    engines = f", {summary['workers']} workers" if summary["workers"] > 1 else ""
    started = f", started {summary['started_at']}" if summary["started_at"] else ""
    text = Text.assemble((summary["profile"], "bold"), f", {words.seconds(summary['duration_s'])} against {target}")
    text.append(
        f"\nsmfleet {summary['version']}, seed {summary['seed']}, pace {summary['pace']}, {summary['mode']} loop"
        f"{engines}{started}",
        style="dim",
    )
    for note in summary["notes"]:
        text.append(f"\nnote: {note}", style="yellow")
    for event in summary["events"][:_MOST_EVENTS]:
        text.append(f"\n{words.seconds(event['at_s'])}: {event['text']}", style="cyan")
    if len(summary["events"]) > _MOST_EVENTS:
        text.append(f"\nand {len(summary['events']) - _MOST_EVENTS} more events", style="cyan")
    return text


def _limited(generator: Json) -> Iterator[RenderableType]:
    if generator["limited"]:
        yield from below(Text("The generator was the limit: do not judge the CHF by these figures.", "bold magenta"))
        yield bullets(generator["reasons"])


# -- operations and usages --------------------------------------------------------------------------------------------


def _operations(summary: Json, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
    rows = [(name, summary["operations"][name]) for name in OPERATIONS if summary["operations"][name]["requests"]]
    rows.append(("all", summary["all"]))
    wide = _operation_table(rows, counts=True, latencies=True)
    if Measurement.get(console, options.update(max_width=1_000), wide).maximum <= options.max_width:
        yield from below(wide)
    else:
        yield from below(_operation_table(rows, counts=True, latencies=False))
        yield from below(_operation_table(rows, counts=False, latencies=True))


def _operation_table(rows: list[tuple[str, Json]], *, counts: bool, latencies: bool) -> Table:
    headings = (*(_COUNT_HEADINGS if counts else ()), *(_LATENCY_HEADINGS if latencies else ()))
    table = columns("operation" if counts else "latency", *headings)
    for name, figures in rows:
        cells = [*_counts(figures)] if counts else []
        cells += _latencies(figures["latency_us"]) if latencies else []
        table.add_row(name, *cells, style="bold" if name == "all" else "")
    return table


def _counts(figures: Json) -> Iterator[Text]:
    styles = {"requests": "", "ok": "green", "denied": "yellow", "failed": "bold red", "retransmitted": "yellow"}
    for name, style in styles.items():
        yield _flagged(figures[name], style)
    yield Text(words.count(figures["per_s"]))


def _flagged(value: int, style: str) -> Text:
    return Text(words.count(value), style if value else "dim")


def _latencies(by_kind: Json) -> list[Text]:
    return [
        Text(words.latency(by_kind[kind][percentile])) if by_kind[kind]["count"] else Text("–", "dim")
        for kind, percentile in _LATENCY_CELLS
    ]


def _usages(usages: Mapping[str, Json]) -> Iterator[RenderableType]:
    if len(usages) < 2:
        return
    table = columns("usage", *_USAGE_HEADINGS)
    for name, usage in usages.items():
        response = usage["response_us"]
        table.add_row(
            name,
            words.count(usage["started"]),
            _flagged(usage["failed"], "red"),
            words.count(usage["requests"]),
            _flagged(usage["denied_requests"], "yellow"),
            _flagged(usage["failed_requests"], "bold red"),
            *(words.latency(response[rank]) if response["count"] else "–" for rank in ("p50", "p99")),
        )
    yield from below(table)


# -- facts in lines ---------------------------------------------------------------------------------------------------


def _facts(summary: Json) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in _lines(summary):
        grid.add_row(name, value)
    return grid


def _lines(summary: Json) -> Iterator[tuple[str, Text]]:
    yield "arrivals", _arrivals(summary)
    yield "sessions", _sessions(summary["sessions"], summary["arrivals"])
    if {"warmup", "cooldown"} & set(summary["phases"]):
        yield "phases", _phases(summary["phases"])
    yield "result codes", Text(words.listed(summary["result_codes"]))
    if summary["causes"]:
        yield "causes", Text(words.listed(summary["causes"]), "yellow")
    if summary["promises_broken"]:
        broken = {words.promise(name): count for name, count in summary["promises_broken"].items()}
        yield "promises broken", Text(words.listed(broken), "bold red")
    if summary["conformance"]["checked"]:
        yield "conformance", _conformance(summary["conformance"])
    if summary["tokens"]:
        yield "tokens", Text(words.listed(summary["tokens"]))
    if summary["notifies"]:
        yield "notifies", Text(words.listed(summary["notifies"]))
    if len(summary["chfs"]) > 1:
        for chf in summary["chfs"]:
            yield f"CHF {chf['number']}", _chf(chf)
    yield "connections", _connections(summary["connections"])
    yield "generator", _generator(summary["generator"])
    for note in summary["generator"]["notes"]:
        yield "", Text(note, "yellow")


def _arrivals(summary: Json) -> Text:
    arrivals, rate = summary["arrivals"], summary["rate"]
    text = Text(f"{words.count(rate['offered_per_s'])}/s offered, {words.count(rate['achieved_per_s'])}/s achieved; ")
    text.append(f"{words.count(arrivals['started'])} of {words.count(arrivals['intended'])} started")
    if arrivals["dropped"]:
        told, style = words.dropped(arrivals["dropped_by_reason"])
        text.append(f", {told}", style=style)
    return text


def _sessions(sessions: Json, arrivals: Json) -> Text:
    text = Text(f"{words.count(sessions['started'])} started")
    found_open = sessions["started"] - arrivals["started"]
    if found_open > 0:
        text.append(f" ({words.count(found_open)} of them open from the beginning)")
    text.append(f", {words.count(sessions['open_max'])} open at most; {words.count(sessions['completed'])} completed")
    if sessions["failed"]:
        text.append(
            f", {words.count(sessions['failed'])} not: {words.listed(sessions['failed_by_reason'])}", style="red"
        )
    if sessions["open_at_end"]:
        text.append(f", {words.count(sessions['open_at_end'])} left open", style="yellow")
    return text


def _phases(phases: Json) -> Text:
    lengths = ", ".join(f"{words.seconds(phase['seconds'])} {name}" for name, phase in phases.items())
    return Text(lengths + ("; rates and latencies are those of the steady one" if "steady" in phases else ""))


def _conformance(conformance: Json) -> Text:
    checked, deviations = words.count(conformance["checked"]), conformance["deviations"]
    if not deviations:
        return Text(f"{checked} answers checked, no deviation", "green")
    return Text(f"{checked} answers checked: {words.listed(deviations)}", "yellow")


def _chf(chf: Json) -> Text:
    text = Text(f"{chf['target']}: {words.count(chf['requests'])} requests")
    if chf["failed"]:
        text.append(f", {words.count(chf['failed'])} failed", style="red")
    moved = [
        f"{words.count(chf[name])} moved {way}"
        for name, way in (("failovers_from", "away"), ("failovers_to", "here"))
        if chf[name]
    ]
    text.append("".join(f", {each}" for each in moved), style="yellow")
    if chf["down_at_end"]:
        text.append(", down at the end", style="bold red")
    return text


def _connections(connections: Json) -> Text:
    in_flight = words.count(connections["in_flight_max"])
    text = Text(f"{words.count(connections['open_max'])} open, {in_flight} under way at most")
    if connections["waiting_max"]:
        text.append(f", {words.count(connections['waiting_max'])} waiting for a stream at most")
    trouble = {name: connections.get(name, 0) for name in _CONNECTION_TROUBLE}
    if any(trouble.values()):
        text.append(f"; {words.listed(trouble)}", style="yellow")
    return text


def _generator(generator: Json) -> Text:
    text = Text(f"{generator['cpu_s']:,.1f} CPU-s")
    if generator["requests_per_cpu_s"]:
        text.append(f", {words.count(round(generator['requests_per_cpu_s']))} requests per CPU-s")
    if generator["cpu_share"] is not None:
        text.append(f", busiest engine at {generator['cpu_share']:.0%} of a core")
    if generator["loop_lag_us"] is not None:
        usual, worst = words.latency(generator["loop_lag_usual_us"]), words.latency(generator["loop_lag_us"])
        text.append(f"; its loop up to {usual} late in the usual interval, {worst} at worst")
    if generator["gc_pause_us"]:
        text.append(f"; garbage collection for {words.latency(generator['gc_pause_us'])} at worst")
    if generator["timer_floor_us"]:
        text.append(f"; its timers {words.latency(generator['timer_floor_us'])} late when idle")
    if not generator["limited"]:
        text.append("; not the limit", style="green")
    return text


_ENGINE_HEADINGS: Final = (
    "requests", "drops", "of a\ncore", "loop lag\nusual", "\nworst", "GC\nworst", "queue\np99", "req per\nCPU-s",
)  # fmt: skip


def _engines(engines: list[Json]) -> Iterator[RenderableType]:
    """Each engine by itself, where there are several."""
    if len(engines) < 2:
        return
    table = columns("engine", *_ENGINE_HEADINGS)
    for engine in engines:
        share, rate = engine["cpu_share"], engine["requests_per_cpu_s"]
        delays = (engine[name] for name in ("loop_lag_usual_us", "loop_lag_us", "gc_pause_us", "queue_p99_us"))
        table.add_row(
            str(engine["worker"]),
            words.count(engine["requests"]),
            _flagged(engine["dropped"], "yellow"),
            "–" if share is None else f"{share:.0%}",
            *("–" if delay is None else words.latency(delay) for delay in delays),
            "–" if rate is None else words.count(round(rate)),
        )
    yield from below(table)
    for engine in engines:
        if engine["lost"]:
            after = f"last heard of after {words.seconds(engine['until_s'])}" if engine["until_s"] else "never heard of"
            yield Text(f"engine {engine['worker']} was lost, {after}", "bold red")


# -- judgements -------------------------------------------------------------------------------------------------------


def _thresholds(lines: list[Json]) -> Iterator[RenderableType]:
    if not lines:
        return
    grid = Table.grid(padding=(0, 2))
    for line in lines:
        word, style = {True: ("pass", "green"), False: ("FAIL", "bold red"), None: ("open", "yellow")}[line["ok"]]
        if line["ok"] is False and line["level"] == "warn":
            word, style = "warn", "yellow"
        measured = words.measured(line["value"], line["over"], line["window_at_s"])
        grid.add_row(Text(word, style), Text(line["text"]), Text(measured, "dim" if line["ok"] else style))
    yield from below(Text("thresholds", "bold"))
    yield grid


def _verdict(summary: Json) -> Iterator[RenderableType]:
    word = summary["verdict"]
    text = Text.assemble("Verdict: ", (word, VERDICT_STYLES.get(word, "bold yellow")))
    if summary["generator"]["limited"]:
        text.append(" (the generator was the limit, see above)")
    yield from below(text)
    yield bullets(why for why in summary["why"] if why not in summary["generator"]["reasons"])
