"""A run as one HTML file that needs nothing else: figures and tables as text, charts drawn by the plotly library inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Any, Final

import orjson

from simulator.measure.figures import LATENCIES, OPERATIONS
from simulator.report import words
from simulator.report.charts import UNIT_WORDS, chart_data
from simulator.report.run_folder import RunRecord

Json = Mapping[str, Any]

SAMPLES_SHOWN: Final = 30
EVENTS_SHOWN: Final = 200
OFFENCES_SHOWN: Final = 50
LONGEST_BODY: Final = 8_000
"""Characters of a message that are shown."""


def render_html(record: RunRecord) -> str:
    """The page."""
    assets = files("simulator.report") / "assets"
    summary = record.summary
    parts = [(title, content) for title, content in _parts(record) if content]
    return Template((assets / "report.html").read_text("utf-8")).substitute(
        title=escape(f"{summary['profile']}: {summary['verdict']}"),
        style=(assets / "report.css").read_text("utf-8"),
        navigation="".join(f'<a href="#{_anchor(title)}">{escape(title)}</a>' for title, _ in parts),
        content=_verdict(summary) + "".join(_section(title, content) for title, content in parts),
        footer=escape(f"smfleet {summary['version']}, run {record.manifest.get('run_id', record.folder.name)}"),
        data=_embedded(chart_data(record)),
        library=_plotly(),
        script=(assets / "report.js").read_text("utf-8"),
    )


@cache
def _plotly() -> str:
    """The library's own minified file. A closing tag in one of its texts must not end the script."""
    return (files("plotly") / "package_data" / "plotly.min.js").read_text("utf-8").replace("</script", "<\\/script")


def _embedded(document: Json) -> str:
    """JSON that cannot end the element it stands in, whatever a CHF called its causes."""
    return orjson.dumps(document).decode().replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _parts(record: RunRecord) -> Iterable[tuple[str, str]]:
    summary = record.summary
    yield "Run", _run(record)
    yield "Thresholds", _thresholds(summary["thresholds"])
    yield "Load", _chart("rate", "Sessions offered and achieved") + _chart("requests", "Requests by operation")
    yield "Latency", _latency(summary)
    yield "Results", _results(summary)
    yield "Sessions", _sessions(summary)
    yield "Charging", _charging(summary)
    yield "Audit", _audit(summary["audit"])
    yield "Connections", _connections(summary)
    yield "Generator", _generator(summary)
    yield "Events", _events(record.events)
    yield "Failures", _samples(record.samples)


# -- shapes -----------------------------------------------------------------------------------------------------------


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _section(title: str, content: str) -> str:
    anchor = _anchor(title)
    return f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{escape(title)}</h2>{content}</section>'


def _table(caption: str, headings: Sequence[str], rows: Iterable[Sequence[str]], *, texts: Sequence[int] = ()) -> str:
    """Cells are HTML already; the columns in `texts` hold prose and may wrap."""

    def cells(tag: str, row: Sequence[str], scope: str) -> str:
        kinds = (' class="text"' if place in texts else "" for place in range(len(row)))
        return "".join(f"<{tag}{kind}{scope}>{cell}</{tag}>" for cell, kind in zip(row, kinds, strict=True))

    head = cells("th", [escape(heading) for heading in headings], ' scope="col"')
    body = "".join(f"<tr>{cells('td', row, '')}</tr>" for row in rows)
    name = escape(caption)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{name}"><table><caption>{name}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _list(pairs: Iterable[tuple[str, str]], kind: str = "facts") -> str:
    if kind == "figures":
        return f'<dl class="figures">{"".join(f"<div><dt>{n}</dt><dd>{v}</dd></div>" for n, v in pairs)}</dl>'
    return f'<dl class="{kind}">{"".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in pairs)}</dl>'


def _chart(name: str, title: str, hint: str = "", controls: str = "") -> str:
    shown = f'<p class="hint">{escape(hint)}</p>' if hint else ""
    return (
        f"<h3>{escape(title)}</h3>{shown}{controls}"
        f'<div class="chart" id="chart-{name}" role="img" aria-label="Chart: {escape(title)}">'
        '<p class="no-script">Charts need JavaScript; the tables hold the figures.</p></div>'
    )


def _choice(name: str, label: str, options: Iterable[str], chosen: str = "") -> str:
    shown = "".join(f"<option{' selected' if each == chosen else ''}>{escape(each)}</option>" for each in options)
    return f'<label for="{name}">{escape(label)}</label><select id="{name}">{shown}</select>'


def _styled(style: str, text: str) -> str:
    return f'<span class="{style}">{escape(text)}</span>'


def _flag(value: int, style: str = "bad") -> str:
    return _styled(style, words.count(value)) if value else "0"


def _delay(microseconds: float | None) -> str:
    return "–" if microseconds is None else escape(words.latency(microseconds))


# -- the parts --------------------------------------------------------------------------------------------------------


def _verdict(summary: Json) -> str:
    word = str(summary["verdict"])
    limited = summary["generator"]["limited"]
    warning = (
        "<p><strong>The generator was the limit: do not judge the CHF by these figures.</strong></p>" if limited else ""
    )
    reasons = "".join(f"<li>{escape(why)}</li>" for why in summary["why"])
    reasons += "".join(f'<li class="warn">warning: {escape(why)}</li>' for why in summary.get("warnings", ()))
    everything = summary["all"]
    response = everything["latency_us"]["response"]
    figures = [
        ("sessions offered", f"{words.count(summary['rate']['offered_per_s'])}/s"),
        ("achieved", f"{words.count(summary['rate']['achieved_per_s'])}/s"),
        ("requests", f"{words.count(summary['rate']['requests_per_s'])}/s"),
        ("success", words.share(everything["requests"] - everything["failed"], everything["requests"])),
        ("response p50", _delay(response["p50"])),
        ("response p99", _delay(response["p99"])),
        ("books", _books(summary["audit"])),
    ]
    kind = word if word in ("pass", "fail", "invalid") else "other"
    return (
        f'<div class="verdict {kind}">{warning}<h1>{escape(summary["profile"])}: <span class="word">{escape(word)}</span></h1>'
        f"{f'<ul>{reasons}</ul>' if reasons else ''}{_list(figures, 'figures')}</div>"
    )


def _books(audit: Json | None) -> str:
    if audit is None:
        return _styled("warn", "not audited")
    return {
        True: _styled("good", "balanced"),
        False: _styled("bad", "not balanced"),
        None: _styled("warn", "not verified"),
    }[audit["balanced"]]


def _run(record: RunRecord) -> str:
    summary, manifest = record.summary, record.manifest
    machine = manifest.get("machine", {})
    facts = [
        ("target", escape(summary["target"]) + (" (the sandbox)" if summary["sandbox"] else "")),
        ("started", escape(str(summary["started_at"]))),
        ("duration", escape(words.seconds(summary["duration_s"]))),
        ("seed", str(summary["seed"])),
        ("version", escape(str(summary["version"]))),
        (
            "load",
            f"{escape(summary['mode'])} loop, pace {escape(summary['pace'])}, {summary['workers']} engine processes",
        ),
        ("subscribers", words.count(summary["subscribers"])),
    ]
    if manifest.get("command"):
        facts.append(("command", f"<code>{escape(' '.join(map(str, manifest['command'])))}</code>"))
    if machine:
        facts.append(("machine", escape(", ".join(f"{name} {value}" for name, value in machine.items()))))
    phases = [
        [
            escape(name), escape(words.seconds(phase["seconds"])), words.count(phase["requests"]), words.count(phase["per_s"]),
            _flag(phase["failed"]), _delay(phase["response_us"]["p50"]), _delay(phase["response_us"]["p99"]),
        ]
        for name, phase in summary.get("phases", {}).items()
    ]  # fmt: skip
    notes = "".join(f'<p class="warn">Note: {escape(note)}</p>' for note in summary["notes"])
    headings = ("phase", "length", "requests", "per second", "failed", "response p50", "response p99")
    return notes + _list(facts) + (_table("Phases of the run", headings, phases) if phases else "")


def _thresholds(lines: Sequence[Json]) -> str:
    if not lines:
        return ""

    def row(line: Json) -> list[str]:
        level = line.get("level", "fail")
        word = {True: _styled("good", "holds"), None: _styled("warn", "open")}.get(line["ok"])
        word = word or (_styled("warn", "warns") if level == "warn" else _styled("bad", "fails"))
        window = line.get("window_at_s")
        over = str(line.get("over", "run")) + ("" if window is None else f", worst to {words.seconds(window)}")
        return [word, f"<code>{escape(line['text'])}</code>", escape(line["value"]), escape(over)]

    return _table("What was asked of the CHF", ("", "threshold", "measured", "over"), map(row, lines), texts=(1, 2, 3))


def _latency(summary: Json) -> str:
    happened = [name for name in OPERATIONS if summary["operations"][name]["requests"]]
    kinds = ("response", "service", "queue")
    hint = (
        "Response is from the moment a request was due to its answer, service from its sending, queue up to its sending: the "
        "generator's own delay. All outcomes count, a timeout at its deadline."
    )
    over_time = (
        '<div class="controls">'
        + _choice("latency-kind", "latency", kinds)
        + _choice("latency-operation", "operation", ["all", *happened])
        + _choice("latency-scale", "scale", ("linear", "log"), "log")
        + "</div>"
    )
    curves = (
        '<div class="controls">'
        + _choice("percentile-kind", "latency", kinds)
        + _choice("percentile-scale", "scale", ("linear", "log"))
        + "</div>"
    )
    headings = ("operation", "latency", "count", "mean", "p50", "p90", "p95", "p99", "p99.9", "p99.99", "max")
    rows = []
    for name in [*happened, "all"]:
        figures = summary["all"] if name == "all" else summary["operations"][name]
        for kind in LATENCIES:
            latency = figures["latency_us"][kind]
            ranks = ("mean", "p50", "p90", "p95", "p99", "p99_9", "p99_99", "max")
            rows.append([name, kind, words.count(latency["count"]), *(_delay(latency[rank]) for rank in ranks)])
    return (
        _chart("latency", "Latency over time", hint, over_time)
        + _chart(
            "percentiles", "Percentiles", "Of the steady phase; each step to the right is ten times rarer.", curves
        )
        + _chart(
            "heat",
            "Response times over time",
            "The darker, or in a dark page the brighter, the more requests took so long.",
        )
        + _table("Latencies of the steady phase", headings, rows)
    )


def _results(summary: Json) -> str:
    headings = ("operation", "requests", "ok", "denied", "failed", "repeated", "per second")
    rows = [
        [
            name, words.count(figures["requests"]), words.count(figures["ok"]), _flag(figures["denied"], "warn"),
            _flag(figures["failed"]), _flag(figures["retransmitted"], "warn"), words.count(figures["per_s"]),
        ]
        for name, figures in [*summary["operations"].items(), ("all", summary["all"])]
        if figures["requests"] or name == "all"
    ]  # fmt: skip
    codes = [[escape(name), words.count(count)] for name, count in summary["result_codes"].items()]
    causes = [[escape(name), words.count(count)] for name, count in summary["causes"].items()]
    broken = [[escape(words.promise(name)), words.count(count)] for name, count in summary["promises_broken"].items()]
    return (
        _table("Requests of the whole run by outcome", headings, rows)
        + _chart("codes", "Result codes and causes")
        + (_table("Result codes of rating groups", ("result code", "answers"), codes) if codes else "")
        + (_table("Causes of refusals and failures", ("cause", "requests"), causes) if causes else "")
        + (_table("Promises that the CHF broke", ("promise", "times"), broken) if broken else "")
    )


def _sessions(summary: Json) -> str:
    sessions = summary["sessions"]
    arrivals = summary["arrivals"]
    figures = [
        ("started", words.count(sessions["started"])),
        ("completed", words.count(sessions["completed"])),
        ("failed", _flag(sessions["failed"])),
        ("open at most", words.count(sessions["open_max"])),
        ("left open", _flag(sessions["open_at_end"], "warn")),
        ("arrivals dropped", _flag(arrivals["dropped"], "warn")),
    ]
    ended = [[escape(name), words.count(count)] for name, count in sessions["failed_by_reason"].items()]
    dropped = [[escape(name), words.count(count)] for name, count in arrivals["dropped_by_reason"].items()]
    usages = [
        [
            escape(name), words.count(usage["started"]), words.count(usage["completed"]), _flag(usage["failed"]),
            words.count(usage["requests"]), _delay(usage["response_us"]["p50"]), _delay(usage["response_us"]["p99"]),
        ]
        for name, usage in summary["usages"].items()
    ]  # fmt: skip
    headings = ("usage", "started", "completed", "failed", "requests", "response p50", "response p99")
    return (
        _list(figures, "figures")
        + _chart("sessions", "Sessions over time")
        + (_table("By usage", headings, usages) if usages else "")
        + (_table("Sessions that did not end well", ("reason", "sessions"), ended) if ended else "")
        + (_table("Arrivals that were not started", ("reason", "arrivals"), dropped) if dropped else "")
    )


def _charging(summary: Json) -> str:
    audit = summary["audit"] or {}
    units = list(summary["units"]["used"])
    if not units:
        return ""
    rows = [
        [
            escape(words.unit(unit)),
            *(
                escape(words.amount(int(side.get(unit, 0)), unit))
                for side in (summary["units"]["used"], summary["units"]["acknowledged"], audit.get("debited_units", {}))
            ),
        ]
        for unit in units
    ]
    controls = (
        f'<div class="controls">{_choice("units-unit", "unit", [unit for unit in UNIT_WORDS if unit in units])}</div>'
    )
    return _chart("units", "Units used and acknowledged, as sessions end", "", controls) + _table(
        "Units of the whole run", ("unit", "used", "acknowledged", "in the CHF's books"), rows
    )


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
        True: _styled("good", f"Balanced: nothing that {sessions} sessions reported was lost or charged twice."),
        False: _styled(
            "bad",
            f"Not balanced: {words.count(audit['offending'])} accounts of {sessions} sessions are wrong or in doubt.",
        ),
        None: _styled("warn", f"Nothing wrong in {sessions} sessions, but {audit['reason']}."),
    }[audit["balanced"]]

    def cell(unit: str, name: str, style: str) -> str:
        value = int(audit[name].get(unit, 0))
        text = words.amount(value, unit)
        return _styled(style, text) if style and value else escape(text)

    rows = [
        [escape(words.unit(unit)), *(cell(unit, name, style) for _, name, style in _SIDES)]
        for unit in audit["used_units"]
    ]
    offences = [
        [
            escape(f"{each['key']} rating group {each['rating_group']}"),
            *(
                escape(words.amount(each[name], each["unit"]))
                for name in ("used", "lost", "double_charged", "in_doubt")
            ),
            escape(each["why"]),
        ]
        for each in audit["offences"][:OFFENCES_SHOWN]
    ]
    headings = ("account", "used", "lost", "charged twice", "in doubt", "why")
    return (
        f"<p>{conclusion}</p>"
        + (_table("Both sides' books", ("unit", *(heading for heading, _, _ in _SIDES)), rows) if rows else "")
        + (_table("Accounts that are wrong", headings, offences, texts=(0, 5)) if offences else "")
    )


def _connections(summary: Json) -> str:
    counts = [(escape(name.replace("_", " ")), words.count(value)) for name, value in summary["connections"].items()]
    chfs = [
        [
            str(chf["number"]), escape(chf["target"]), words.count(chf["requests"]), _flag(chf["failed"]),
            _flag(chf["failovers_from"], "warn"), _flag(chf["failovers_to"], "warn"), "down" if chf["down_at_end"] else "up",
        ]
        for chf in summary["chfs"]
    ]  # fmt: skip
    headings = ("CHF", "address", "requests", "failed", "moved away", "moved here", "at the end")
    return (
        _chart("connections", "Connections and requests under way")
        + _table("CHFs as the fleet saw them", headings, chfs, texts=(1,))
        + _table("HTTP/2", ("what", "count"), counts)
    )


def _generator(summary: Json) -> str:
    generator = summary["generator"]
    reasons = "".join(f"<li>{escape(each)}</li>" for each in (*generator["reasons"], *generator["notes"]))
    word = (
        _styled("note", "The generator was the limit.") if generator["limited"] else _styled("good", "Not the limit.")
    )
    rows = [
        [
            str(engine["worker"]) + (_styled("bad", " lost") if engine["lost"] else ""),
            words.count(engine["requests"]), _flag(engine["dropped"], "warn"), f"{engine['cpu_s']:,.1f} s",
            "–" if engine["cpu_share"] is None else f"{engine['cpu_share']:.0%}", _delay(engine["loop_lag_usual_us"]),
            _delay(engine["loop_lag_us"]), _delay(engine["gc_pause_us"]), _delay(engine["queue_p99_us"]),
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
        f'<p class="hint">Its timers are {escape(words.latency(floor))} late when it has nothing to do.</p>'
        if floor
        else ""
    )
    return (
        f"<p>{word}</p>{f'<ul>{reasons}</ul>' if reasons else ''}{timer}"
        + _chart("cpu", "CPU of each engine")
        + _chart("lag", "Delays of the generator itself")
        + (_table("Engines", headings, rows) if rows else "")
    )


def _events(events: Sequence[Json]) -> str:
    rows = [
        [str(number), escape(words.seconds(event["at_s"])), escape(str(event["text"]))]
        for number, event in enumerate(events[:EVENTS_SHOWN], start=1)
    ]
    return _table("Numbered as in the charts", ("", "after", "what happened"), rows, texts=(2,)) if rows else ""


def _samples(samples: Sequence[Json]) -> str:
    shown = "".join(_sample(sample) for sample in samples[:SAMPLES_SHOWN])
    more = (
        f'<p class="hint">and {len(samples) - SAMPLES_SHOWN} more in samples.ndjson</p>'
        if len(samples) > SAMPLES_SHOWN
        else ""
    )
    return shown + more


def _sample(sample: Json) -> str:
    cause, status = sample.get("cause") or "", sample.get("status") or ""
    title = f"{words.seconds(sample['at_s'])}: {sample.get('operation', '')} of {sample.get('subscriber', '')}: {status} {cause}"
    sides: list[tuple[str, Callable[[], Json | None]]] = [
        ("request", lambda: sample.get("request")), ("answer", lambda: sample.get("response")),
    ]  # fmt: skip
    exchange = "".join(f"<h3>{name}</h3><pre>{escape(_message(side() or {}))}</pre>" for name, side in sides)
    return f"<details><summary>{escape(title)}</summary>{exchange}</details>"


def _message(message: Json) -> str:
    headers = "\n".join(f"{name}: {value}" for name, value in message.get("headers", ()))
    body = str(message.get("body", ""))
    cut = "" if len(body) <= LONGEST_BODY else f"\n… {len(body) - LONGEST_BODY:,} characters more"
    return f"{headers}\n\n{body[:LONGEST_BODY]}{cut}".strip() or "none"
