"""A run as one HTML file that needs nothing else: figures and tables as text, charts drawn by the plotly library inside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from simulator.measure.figures import LATENCIES, OPERATIONS
from simulator.report import markup, words
from simulator.report.charts import MOST_EVENTS, chart_data
from simulator.report.markup import chart, choice, delay, facts, figures, flag, hint, styled, table, text
from simulator.report.run_folder import EVENTS, SAMPLES, RunRecord

Json = Mapping[str, Any]

OFFENCES_SHOWN: Final = 50
LONGEST_BODY: Final = 8_000
"""Characters of a message that are shown, of its headers and its body."""
LONGEST_COMMAND: Final = 4_000


def render_html(record: RunRecord) -> str:
    """The page."""
    summary, data = record.summary, chart_data(record)
    return markup.page(
        title=f"{summary['profile']}: {summary['verdict']}",
        top=_verdict(summary),
        parts=_parts(record, data),
        footer=f"smfleet {summary['version']}, run {record.manifest.get('run_id', record.folder.name)}",
        data=data,
    )


def _parts(record: RunRecord, data: Json) -> Iterable[tuple[str, str]]:
    summary = record.summary
    yield "Run", _run(record)
    yield "Thresholds", _thresholds(summary["thresholds"])
    yield "Load", _load(data)
    yield "Latency", _latency(summary, data)
    yield "Results", _results(summary, data)
    yield "Sessions", _sessions(summary, data)
    yield "Charging", _charging(summary, data)
    yield "Audit", _audit(summary["audit"])
    yield "Connections", _connections(summary, data)
    yield "Generator", _generator(summary, data)
    yield "Events", _events(record.events)
    yield "Failures", _samples(record)


def _nothing(columns: Iterable[Sequence[float | None]], said: str) -> str:
    """What is said in place of a chart without a single value."""
    return "" if any(any(column) for column in columns) else said


def _verdict(summary: Json) -> str:
    word = str(summary["verdict"])
    limited = summary["generator"]["limited"]
    warning = (
        "<p><strong>The generator was the limit: do not judge the CHF by these figures.</strong></p>" if limited else ""
    )
    reasons = "".join(f"<li>{text(why)}</li>" for why in summary["why"])
    reasons += "".join(f'<li class="warn">warning: {text(why)}</li>' for why in summary.get("warnings", ()))
    everything = summary["all"]
    response = everything["latency_us"]["response"]
    cards = [
        ("sessions offered", f"{words.count(summary['rate']['offered_per_s'])}/s"),
        ("achieved", f"{words.count(summary['rate']['achieved_per_s'])}/s"),
        ("requests", f"{words.count(summary['rate']['requests_per_s'])}/s"),
        ("success", words.share(everything["requests"] - everything["failed"], everything["requests"])),
        ("response p50", delay(response["p50"])),
        ("response p99", delay(response["p99"])),
        ("books", _books(summary["audit"])),
    ]
    name = text(summary["profile"])
    kind = word if word in ("pass", "fail", "invalid") else "other"
    return (
        f'<div class="verdict {kind}" role="status">{warning}<h1>{name}: <span class="word">{text(word)}</span></h1>'
        f"{f'<ul>{reasons}</ul>' if reasons else ''}{figures(cards)}</div>"
    )


def _books(audit: Json | None) -> str:
    if audit is None:
        return styled("warn", "not audited")
    return {
        True: styled("good", "balanced"),
        False: styled("bad", "not balanced"),
        None: styled("warn", "not verified"),
    }[audit["balanced"]]


def _run(record: RunRecord) -> str:
    summary, manifest = record.summary, record.manifest
    engines = summary["workers"]
    about = [
        ("target", text(summary["target"]) + (" (the sandbox)" if summary["sandbox"] else "")),
        ("started", text(_moment(str(summary["started_at"])))),
        ("duration", text(words.seconds(summary["duration_s"]))),
        ("seed", str(summary["seed"])),
        ("load", text(f"{summary['mode']} loop, pace {summary['pace']}")),
        ("engine processes", words.count(engines)),
        ("subscribers", words.count(summary["subscribers"])),
        ("version", text(summary["version"])),
    ]
    if manifest.get("command"):
        about.append(("command", f"<code>{text(' '.join(map(str, manifest['command'])), LONGEST_COMMAND)}</code>"))
    if machine := manifest.get("machine"):
        about.append(("machine", text(_machine(machine))))
    phases = [
        [
            text(name), text(words.seconds(phase["seconds"])), words.count(phase["requests"]), words.count(phase["per_s"]),
            flag(phase["failed"]), delay(phase["response_us"]["p50"]), delay(phase["response_us"]["p99"]),
        ]
        for name, phase in summary.get("phases", {}).items()
    ]  # fmt: skip
    notes = "".join(f'<p class="warn">Note: {text(note)}</p>' for note in summary["notes"])
    headings = ("phase", "length", "requests", "per second", "failed", "response p50", "response p99")
    return notes + facts(about) + table("Phases of the run", headings, phases)


def _moment(started_at: str) -> str:
    date, _, time = started_at.partition("T")
    return f"{date} {time[:8]} UTC" if time.endswith(("+00:00", "Z")) else started_at


def _machine(machine: Json) -> str:
    said = {
        "platform": "{}".format,
        "python": "Python {}".format,
        "cpus": "{} CPUs".format,
        "memory_bytes": lambda octets: f"{words.amount(int(octets), 'volume')} of memory",
        "native": "hot path {}".format,
    }
    return ", ".join(
        said[name](value) if name in said else f"{name} {value}" for name, value in machine.items() if value is not None
    )


def _load(data: Json) -> str:
    offered = (
        "Intended is the rate of the profile at that moment, with what was changed by hand; offered are the arrivals that fell "
        "due, achieved those that were started. Shaded: phases that the latencies leave out. Numbered marks: the events below."
    )
    rate, requests = data["rate"], data["requests"]
    return chart(
        "rate", "Sessions offered and achieved", offered, empty=_nothing(rate.values(), "No session was offered.")
    ) + chart("requests", "Requests by operation", empty=_nothing(requests.values(), "No request was answered."))


def _thresholds(lines: Sequence[Json]) -> str:
    if not lines:
        return ""

    def row(line: Json) -> list[str]:
        level = line.get("level", "fail")
        word = {True: styled("good", "holds"), None: styled("warn", "open")}.get(line["ok"])
        word = word or (styled("warn", "warns") if level == "warn" else styled("bad", "fails"))
        window = line.get("window_at_s")
        over = str(line.get("over", "run")) + ("" if window is None else f", worst to {words.seconds(window)}")
        return [word, f"<code>{text(line['text'])}</code>", text(line["value"]), text(over)]

    return table(
        "What was asked of the CHF", ("judgement", "threshold", "measured", "over"), map(row, lines), texts=(1, 2, 3)
    )


def _latency(summary: Json, data: Json) -> str:
    happened = [name for name in OPERATIONS if summary["operations"][name]["requests"]]
    kinds = ("response", "service", "queue")
    explained = (
        "Response is from the moment a request was due to its answer, service from its sending, queue up to its sending: the "
        "generator's own delay. All outcomes count, a timeout at its deadline."
    )
    over_time = (
        choice("latency-kind", "latency", kinds)
        + choice("latency-operation", "operation", ["all", *happened])
        + choice("latency-scale", "scale", ("linear", "log"), "log")
    )
    curves = choice("percentile-kind", "latency", kinds) + choice("percentile-scale", "scale", ("linear", "log"))
    empty = "" if data["latency"]["response"] else "Nothing was answered, so that there are no latencies."
    steady = "Of the steady phase; each step to the right is ten times rarer."
    headings = ("operation", "latency", "count", "mean", "p50", "p90", "p95", "p99", "p99.9", "p99.99", "max")
    rows = []
    for name in [*happened, "all"]:
        figures = summary["all"] if name == "all" else summary["operations"][name]
        for kind in LATENCIES:
            latency = figures["latency_us"][kind]
            ranks = ("mean", "p50", "p90", "p95", "p99", "p99_9", "p99_99", "max")
            rows.append([name, kind, words.count(latency["count"]), *(delay(latency[rank]) for rank in ranks)])
    return (
        chart("latency", "Latency over time", explained, over_time, empty=empty)
        + chart("percentiles", "Percentiles", steady, curves, empty="" if data["percentiles"]["response"] else empty)
        + chart(
            "heat", "Response times over time", "The stronger the colour, the more requests took so long.", empty=empty
        )
        + table("Latencies of the steady phase", headings, rows)
    )


def _results(summary: Json, data: Json) -> str:
    headings = ("operation", "requests", "ok", "denied", "failed", "repeated", "per second")
    rows = [
        [
            name, words.count(figures["requests"]), words.count(figures["ok"]), flag(figures["denied"], "warn"),
            flag(figures["failed"]), flag(figures["retransmitted"], "warn"), words.count(figures["per_s"]),
        ]
        for name, figures in [*summary["operations"].items(), ("all", summary["all"])]
        if figures["requests"] or name == "all"
    ]  # fmt: skip
    codes = [[text(name), words.count(count)] for name, count in summary["result_codes"].items()]
    causes = [[text(name), words.count(count)] for name, count in summary["causes"].items()]
    broken = [[text(words.promise(name)), words.count(count)] for name, count in summary["promises_broken"].items()]
    return (
        table("Requests of the whole run by outcome", headings, rows)
        + chart("codes", "Result codes and causes", empty=_nothing(data["codes"].values(), "There were neither."))
        + table("Result codes of rating groups", ("result code", "answers"), codes)
        + table("Causes of refusals and failures", ("cause", "requests"), causes)
        + table("Promises that the CHF broke", ("promise", "times"), broken)
    )


def _sessions(summary: Json, data: Json) -> str:
    sessions = summary["sessions"]
    arrivals = summary["arrivals"]
    cards = [
        ("started", words.count(sessions["started"])),
        ("completed", words.count(sessions["completed"])),
        ("failed", flag(sessions["failed"])),
        ("open at most", words.count(sessions["open_max"])),
        ("left open", flag(sessions["open_at_end"], "warn")),
        ("arrivals dropped", flag(arrivals["dropped"], "warn")),
    ]
    ended = [[text(name), words.count(count)] for name, count in sessions["failed_by_reason"].items()]
    dropped = [[text(name), words.count(count)] for name, count in arrivals["dropped_by_reason"].items()]
    usages = [
        [
            text(name), words.count(usage["started"]), words.count(usage["completed"]), flag(usage["failed"]),
            words.count(usage["requests"]), delay(usage["response_us"]["p50"]), delay(usage["response_us"]["p99"]),
        ]
        for name, usage in summary["usages"].items()
    ]  # fmt: skip
    headings = ("usage", "started", "completed", "failed", "requests", "response p50", "response p99")
    return (
        figures(cards)
        + chart("open", "Sessions open", empty=_nothing([data["open"]], "No session was open at the end of a step."))
        + chart("sessions", "Sessions begun and ended", empty=_nothing(data["sessions"].values(), "There were none."))
        + table("By usage", headings, usages)
        + table("Sessions that did not end well", ("reason", "sessions"), ended)
        + table("Arrivals that were not started", ("reason", "arrivals"), dropped)
    )


def _charging(summary: Json, data: Json) -> str:
    audit = summary["audit"] or {}
    units = list(summary["units"]["used"])
    if not units:
        return ""
    rows = [
        [
            text(words.unit(unit)),
            *(
                text(words.amount(int(side.get(unit, 0)), unit))
                for side in (summary["units"]["used"], summary["units"]["acknowledged"], audit.get("debited_units", {}))
            ),
        ]
        for unit in units
    ]
    return chart(
        "units",
        "Units used and acknowledged",
        "Counted when a session ends, whenever they were used.",
        choice("units-unit", "unit", data["units"]),
        empty="" if data["units"] else "No session had ended.",
    ) + table("Units of the whole run", ("unit", "used", "acknowledged", "in the CHF's books"), rows)


_SIDES: Final = (
    ("used", "used_units", ""),
    ("acknowledged", "acknowledged_units", ""),
    ("in the books", "debited_units", ""),
    ("lost", "lost_units", "bad"),
    ("charged twice", "double_charged_units", "bad"),
    ("in doubt", "in_doubt_units", "warn"),
)


def _audit(audit: Json | None) -> str:
    if audit is None:
        return '<p class="warn">The run was not audited.</p>'
    sessions = words.count(audit["sessions"])
    conclusion = {
        True: styled("good", f"Balanced: nothing that {sessions} sessions reported was lost or charged twice."),
        False: styled(
            "bad",
            f"Not balanced: {words.count(audit['offending'])} accounts of {sessions} sessions are wrong or in doubt.",
        ),
        None: styled("warn", f"Nothing wrong in {sessions} sessions, but {audit['reason']}."),
    }[audit["balanced"]]

    def cell(unit: str, name: str, style: str) -> str:
        value = int(audit[name].get(unit, 0))
        shown = words.amount(value, unit)
        return styled(style, shown) if style and value else text(shown)

    rows = [
        [text(words.unit(unit)), *(cell(unit, name, style) for _, name, style in _SIDES)]
        for unit in audit["used_units"]
    ]
    offences = [
        [
            text(f"{each['key']} rating group {each['rating_group']}"),
            *(text(words.amount(each[name], each["unit"])) for name in ("used", "lost", "double_charged", "in_doubt")),
            text(each["why"]),
        ]
        for each in audit["offences"][:OFFENCES_SHOWN]
    ]
    headings = ("account", "used", "lost", "charged twice", "in doubt", "why")
    return (
        f"<p>{conclusion}</p>"
        + table("Both sides' books", ("unit", *(heading for heading, _, _ in _SIDES)), rows)
        + table("Accounts that are wrong", headings, offences, texts=(0, 5))
    )


def _connections(summary: Json, data: Json) -> str:
    counts = [
        [
            text(name.replace("_", " ")),
            words.amount(value, "volume") if name.startswith("bytes_") else words.count(value),
        ]
        for name, value in summary["connections"].items()
    ]
    chfs = [
        [
            str(chf["number"]), text(chf["target"]), words.count(chf["requests"]), flag(chf["failed"]),
            flag(chf["failovers_from"], "warn"), flag(chf["failovers_to"], "warn"), "down" if chf["down_at_end"] else "up",
        ]
        for chf in summary["chfs"]
    ]  # fmt: skip
    headings = ("CHF", "address", "requests", "failed", "moved away", "moved here", "at the end")
    return (
        chart(
            "connections",
            "Connections and requests under way",
            empty=_nothing(data["connections"].values(), "There were none."),
        )
        + table("CHFs as the fleet saw them", headings, chfs, texts=(1,))
        + table("HTTP/2 connections", ("what", "count"), counts)
    )


def _generator(summary: Json, data: Json) -> str:
    generator = summary["generator"]
    reasons = "".join(f"<li>{text(each)}</li>" for each in (*generator["reasons"], *generator["notes"]))
    word = styled("note", "The generator was the limit.") if generator["limited"] else styled("good", "Not the limit.")
    rows = [
        [
            str(engine["worker"]) + (styled("bad", " lost") if engine["lost"] else ""),
            words.count(engine["requests"]), flag(engine["dropped"], "warn"), f"{engine['cpu_s']:,.1f} s",
            "–" if engine["cpu_share"] is None else f"{engine['cpu_share']:.0%}", delay(engine["loop_lag_usual_us"]),
            delay(engine["loop_lag_us"]), delay(engine["gc_pause_us"]), delay(engine["queue_p99_us"]),
            "–" if engine["requests_per_cpu_s"] is None else words.count(round(engine["requests_per_cpu_s"])),
        ]
        for engine in summary.get("engines", ())
    ]  # fmt: skip
    headings = (
        "engine", "requests", "drops", "CPU", "of a core", "lag, usual", "lag, worst", "GC, worst", "queue p99",
        "requests per CPU-s",
    )  # fmt: skip
    floor = generator.get("timer_floor_us")
    timer = (
        f'<p class="hint">Its timers are {text(words.latency(floor))} late when it has nothing to do.</p>'
        if floor
        else ""
    )
    return (
        f"<p>{word}</p>{f'<ul>{reasons}</ul>' if reasons else ''}{timer}"
        + chart("cpu", "CPU of each engine", empty=_nothing(data["cpu"].values(), "It was not measured."))
        + chart("lag", "Delays of the generator itself", empty=_nothing(data["delays"].values(), "There were none."))
        + table("Engines", headings, rows)
    )


def _events(events: Sequence[Json]) -> str:
    shown = [
        [str(number), text(words.seconds(event["at_s"])), text(event["text"])]
        for number, event in enumerate(events[:MOST_EVENTS], start=1)
    ]
    return table("Numbered as in the charts", ("number", "after", "what happened"), shown, texts=(2,)) + _more(
        len(events) - MOST_EVENTS, EVENTS
    )


def _more(left: int, file: str) -> str:
    return hint(f"and {words.count(left)} more in {file}") if left > 0 else ""


def _samples(record: RunRecord) -> str:
    return "".join(map(_sample, record.samples)) + _more(record.more_samples, SAMPLES)


def _sample(sample: Json) -> str:
    said = [
        sample.get("operation"),
        sample.get("usage"),
        sample.get("subscriber"),
        sample.get("status"),
        sample.get("cause"),
    ]
    title = f"{words.seconds(sample['at_s'])}: {', '.join(str(each) for each in said if each)}"
    sides = (("request", sample.get("request")), ("answer", sample.get("response")))
    exchange = "".join(f"<h4>{name}</h4><pre>{_message(side or {})}</pre>" for name, side in sides)
    return f"<details><summary>{text(title)}</summary>{exchange}</details>"


def _message(message: Json) -> str:
    given = message.get("headers")
    pairs = (each for each in given if isinstance(each, list) and len(each) == 2) if isinstance(given, list) else ()
    headers = "\n".join(f"{name}: {value}" for name, value in pairs)
    shown = f"{text(headers, LONGEST_BODY)}\n\n{text(message.get('body', ''), LONGEST_BODY)}"
    return shown.strip() or "none"
