"""What a terminal shows while a run goes: a page that stays in place, or a line every few seconds where there is none."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from simulator.measure import Phase, Snapshot, Totals
from simulator.measure.figures import OPERATIONS
from simulator.measure.health import BUSY_CORE_SHARE, STALLED_LOOP_US
from simulator.report import RunFacts, words
from simulator.report.layout import columns
from simulator.run.options import Progress

NS_PER_S: Final = 1_000_000_000
REDRAW_NS: Final = NS_PER_S // 5
LINE_NS: Final = 5 * NS_PER_S
KEYS_HELP: Final = "p pause   + - rate   n next stage   s stop and release"
UP: Final = Text("up", "green")


class LiveView:
    """Shows `totals` as they grow. `update(now)` may be called as often as one likes; it draws when it is time."""

    def __init__(self, facts: RunFacts, totals: Totals, *, console: Console | None = None, keys: bool = False) -> None:
        self._facts = facts
        self._keys = keys
        self._totals = totals
        self._console = console or Console()
        self._t0 = facts.t0
        self._drawn: int | None = None
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def update(self, now: int, progress: Progress | None = None) -> None:
        """Show the state at `now`, monotonic nanoseconds; `progress` where the load is by then."""
        self._t0 = self._t0 or now
        if self._drawn is not None and now - self._drawn < (REDRAW_NS if self._live else LINE_NS):
            return
        self._drawn = now
        elapsed_s = (now - self._t0) / NS_PER_S
        if self._live is not None:
            self._live.update(self._page(elapsed_s, progress), refresh=True)
        else:
            self._console.print(
                live_line(self._facts, self._totals, elapsed_s, progress), soft_wrap=True, highlight=False
            )

    def _page(self, elapsed_s: float, progress: Progress | None) -> RenderableType:
        page = live_page(self._facts, self._totals, elapsed_s, progress)
        return Group(page, Text(), Text(KEYS_HELP, "dim")) if self._keys else page


def live_line(facts: RunFacts, totals: Totals, elapsed_s: float, progress: Progress | None = None) -> str:
    """The state of a run in one line, for a log."""
    if not totals.workers:
        return f"{max(0.0, elapsed_s):.0f} s: starting"
    interval, run = totals.interval(), totals.run
    response = interval.histogram("latency_us", "response")
    parts = [
        f"{elapsed_s:.0f} s {totals.phase}",
        _rates(totals),
        f"{words.count(totals.gauge('sessions_open'))} sessions open",
        f"{words.count(totals.rate('requests'))} req/s",
        f"success {_success(run, None)}",
    ]
    if response.count:
        parts.append(
            f"response p50 {words.latency(response.percentile(50))} p99 {words.latency(response.percentile(99))}"
        )
    failed, dropped = run.count("requests", None, None, "failed"), run.count("arrivals", "dropped")
    parts += [f"{words.count(failed)} failed"] if failed else []
    parts += [f"{words.count(dropped)} dropped"] if dropped else []
    parts += ["the generator is strained"] if _is_strained(totals) else []
    rest = (_stage(totals, progress), _time_left(facts, totals, elapsed_s, progress))
    return ", ".join([*parts, *(each for each in rest if each)])


def live_page(facts: RunFacts, totals: Totals, elapsed_s: float, progress: Progress | None = None) -> RenderableType:
    """The state of a run as a page: rates and latencies of the last interval, counts of the whole run."""
    head = _head(facts, totals, elapsed_s, progress)
    if not totals.workers:
        return Group(head, Text("starting", "dim"))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in (
        ("arrivals", _arrivals(totals)),
        ("sessions", Text(f"{words.count(totals.gauge('sessions_open'))} open")),
        ("results", Text(words.listed(totals.run.counts_by("result_codes", 0)))),
        ("causes", Text(words.listed(totals.run.counts_by("causes", 0)), "yellow")),
        ("CHFs", _chfs(facts, totals)),
        ("generator", _generator(totals)),
    ):
        if str(value) != "none":
            grid.add_row(name, value)
    return Group(head, Text(), _operations(totals), Text(), grid)


def _head(facts: RunFacts, totals: Totals, elapsed_s: float, progress: Progress | None) -> RenderableType:
    phase = totals.phase if totals.workers else "start"
    text = Text.assemble((facts.profile, "bold"), "  ", (phase, "cyan"), f"  {words.seconds(elapsed_s)}")
    left = _time_left(facts, totals, elapsed_s, progress)
    if left:
        text.append(f", {left}", "dim")
    stage = _stage(totals, progress)
    if stage:
        text.append(f"  {stage}", "yellow" if progress is not None and progress.paused else "cyan")
    line = Table.grid(padding=(0, 2))
    bar = ProgressBar(total=facts.planned_s, completed=elapsed_s, width=24) if facts.planned_s else ""
    line.add_row(text, bar)
    return line


def _time_left(facts: RunFacts, totals: Totals, elapsed_s: float, progress: Progress | None) -> str:
    left_s = None if facts.planned_s is None else facts.planned_s - elapsed_s
    if progress is not None:
        left_s = progress.left_s
    if left_s is None or left_s <= 0 or totals.phase == Phase.DRAIN:
        return ""
    return f"{words.seconds(left_s)} left"


def _stage(totals: Totals, progress: Progress | None) -> str:
    """Which stage it is, where there are several, and what somebody changed."""
    if progress is None or totals.phase == Phase.DRAIN:
        return ""
    parts = [f"stage {progress.stage} of {progress.stages}: {progress.name}"] if progress.stages > 1 else []
    parts += [f"rate x {progress.factor:g}"] if progress.factor != 1 else []
    parts += ["paused"] if progress.paused else []
    return ", ".join(parts)


def _operations(totals: Totals) -> Table:
    interval, run = totals.interval(), totals.run
    table = columns("operation", "req/s", "requests", "success", "denied", "failed", "response\np50", "\np99")
    for operation in OPERATIONS:
        requests = run.count("requests", operation)
        if not requests:
            continue
        response = interval.histogram("latency_us", "response", operation)
        denied, failed = (run.count("requests", operation, None, outcome) for outcome in ("denied", "failed"))
        table.add_row(
            operation,
            words.count(totals.rate("requests", operation)),
            words.count(requests),
            Text(_success(run, operation), "bold red" if failed else "green"),
            Text(words.count(denied), "yellow" if denied else "dim"),
            Text(words.count(failed), "bold red" if failed else "dim"),
            *(words.latency(response.percentile(rank)) if response.count else "–" for rank in (50, 99)),
        )
    return table


def _success(run: Snapshot, operation: str | None) -> str:
    requests = run.count("requests", operation)
    return words.share(requests - run.count("requests", operation, None, "failed"), requests)


def _rates(totals: Totals) -> str:
    if totals.phase == Phase.DRAIN:
        return "no new sessions"
    offered, achieved = totals.rate("arrivals", "intended"), totals.rate("arrivals", "started")
    return f"{words.count(offered)}/s offered, {words.count(achieved)}/s achieved"


def _arrivals(totals: Totals) -> Text:
    text = Text(_rates(totals))
    dropped = totals.run.counts_by("arrivals", 1, "dropped")
    if dropped:
        told, style = words.dropped(dropped)
        text.append(f", {told}", style)
    return text


def _chfs(facts: RunFacts, totals: Totals) -> Text:
    """Which of several CHFs are up, what they want to be spared, and what each of them gets; of one only what is the matter."""
    states = [_state(totals, number) for number in range(1, len(facts.targets) + 1)]
    if states in ([], [UP]):
        return Text("none")
    text = Text()
    for number, (target, state) in enumerate(zip(facts.targets, states, strict=True), 1):
        rate = f", {words.count(totals.rate('chf', str(number), 'requests'))} req/s" if len(states) > 1 else ""
        text.append(f"{number} {target} ").append_text(state).append(f"{rate}  ")
    return text


def _state(totals: Totals, number: int) -> Text:
    """How the fleet sees a CHF."""
    if totals.gauge(f"chf_down|{number}"):
        return Text("down", "bold red")
    spared = totals.gauge(f"chf_spared|{number}")
    return Text(f"up, wants {spared:.0f} % less", "yellow") if spared else UP


def _generator(totals: Totals) -> Text:
    lag, queue = totals.gauge("loop_lag_us"), totals.interval().histogram("latency_us", "queue")
    text = Text(f"{totals.cpu_share:.0%} of a core, loop lag {words.latency(lag)}")
    text.append(f", requests leave {words.latency(queue.percentile(99))} after their time (p99)")
    waiting = totals.gauge("waiting")
    if waiting:
        text.append(f", {words.count(waiting)} waiting for a stream", "yellow")
    if _is_strained(totals):
        text.append(", strained", "bold magenta")
    return text


def _is_strained(totals: Totals) -> bool:
    return totals.cpu_share >= BUSY_CORE_SHARE or totals.gauge("loop_lag_us") > STALLED_LOOP_US
