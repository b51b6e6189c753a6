"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  // Okabe and Ito's colours, which most people can tell from each other; lighter ones on dark paper.
  const LIGHT = {ink: "#1b1d21", soft: "#5a6069", line: "#e6e8eb", paper: "#ffffff", heat: "YlGnBu", reversed: true,
    colours: ["#0072b2", "#d55e00", "#009e73", "#b0508c", "#8a6d00", "#3a9fd6", "#5b5b5b", "#7f3c8d", "#a33"]};
  const DARK = {ink: "#e8eaed", soft: "#a2a9b3", line: "#343942", paper: "#1b1e23", heat: "Cividis", reversed: false,
    colours: ["#56b4e9", "#ff9a57", "#3fd0a4", "#e7a3cc", "#f0e442", "#9fd3f5", "#c0c0c0", "#c79bd8", "#ff8f8f"]};
  const SHADES = {warmup: "rgba(230,159,0,.12)", cooldown: "rgba(230,159,0,.12)", paused: "rgba(120,130,145,.16)", drain: "rgba(120,130,145,.16)"};
  const RANKS = {tickvals: [0, 1, 2, 3, 4, 5], ticktext: ["0", "90", "99", "99.9", "99.99", "99.999"]};
  const CONFIG = {responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"]};
  const MARKS = 48; // that fit side by side
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const coarse = matchMedia("(pointer: coarse)").matches;
  const narrow = () => root.clientWidth < 640;
  const drawn = [];
  let printing = false;

  const isDark = () => !printing && (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  // Plotly reads some markup in texts; what a CHF said must not be any.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const pick = (id) => document.getElementById(id)?.value;

  // -- axes and marks -------------------------------------------------------------------------------------------------

  const span = () => [0, data.t ? data.t.at(-1) || 1 : 1];
  const axis = (look, more) => Object.assign({gridcolor: look.line, zerolinecolor: look.line, linecolor: look.line, automargin: true,
    tickfont: {color: look.soft}}, more, {title: {text: more.title || "", font: {color: look.soft, size: 12}, standoff: 8}});

  // 1, 2 and 5 of each decade; 1 only where there are many.
  function decades(values) {
    const known = values.filter((value) => value > 0);
    const low = Math.floor(Math.log10(Math.min(...known))), high = Math.ceil(Math.log10(Math.max(...known)));
    const ticks = [];
    for (let power = low; power <= high; power++) for (const step of high - low > 3 ? [1] : [1, 2, 5]) ticks.push(step * 10 ** power);
    return {type: "log", tickvals: ticks, ticktext: ticks.map((tick) => tick.toLocaleString("en", {maximumSignificantDigits: 3}))};
  }

  function phases(look) {
    const shown = data.phases.filter(([phase]) => SHADES[phase]);
    return {
      shapes: shown.map(([phase, x0, x1]) => ({type: "rect", xref: "x", yref: "paper", x0, x1, y0: 0, y1: 1, fillcolor: SHADES[phase],
        line: {width: 0}, layer: "below"})),
      annotations: shown.map(([phase, x]) => ({x, y: 0.995, xref: "x", yref: "paper", text: phase, showarrow: false, xanchor: "left",
        yanchor: "top", font: {size: 11, color: look.soft}})),
    };
  }

  // Events that would cover each other share a mark: 3–5.
  function grouped() {
    const groups = [], apart = span()[1] / (narrow() ? MARKS / 4 : MARKS);
    data.events.forEach((event, index) => {
      const last = groups.at(-1), number = index + 1;
      if (last && event.at_s - last.at_s < apart) { last.to = number; last.texts.push(event.text); }
      else groups.push({at_s: event.at_s, from: number, to: number, texts: [event.text]});
    });
    return groups;
  }

  function events(look) {
    const groups = grouped();
    const said = (group) => group.texts.slice(0, 6).map((text, index) => `${group.from + index}: ${plain(text)}`).join("<br>")
      + (group.texts.length > 6 ? "<br>…" : "");
    return {
      shapes: groups.map((group) => ({type: "line", xref: "x", yref: "paper", x0: group.at_s, x1: group.at_s, y0: 0, y1: 1,
        line: {color: look.soft, width: 1, dash: "dot"}})),
      annotations: groups.map((group) => ({x: group.at_s, y: 1, xref: "x", yref: "paper", yanchor: "bottom", yshift: 3, showarrow: false,
        text: group.from === group.to ? `${group.from}` : `${group.from}–${group.to}`, hovertext: said(group),
        hoverlabel: {bgcolor: look.paper, bordercolor: look.soft, font: {color: look.ink}},
        bgcolor: look.paper, bordercolor: look.soft, borderpad: 2, font: {size: 10, color: look.ink}})),
    };
  }

  // A stage that is too short for its name has only its line.
  function stages(look) {
    const least = span()[1] * (narrow() ? 0.2 : 0.075);
    const named = data.stages.filter((stage, index) => (data.stages[index + 1]?.at_s ?? span()[1]) - stage.at_s >= least);
    return {
      shapes: data.stages.slice(1).map((stage) => ({type: "line", xref: "x", yref: "paper", x0: stage.at_s, x1: stage.at_s, y0: 0, y1: 1,
        line: {color: look.colours[2], width: 1, dash: "dash"}, layer: "below"})),
      annotations: named.map((stage) => ({x: stage.at_s, y: 1, xref: "x", yref: "paper", text: plain(stage.text), showarrow: false,
        xanchor: "left", yanchor: "top", yshift: -13, font: {size: 11, color: look.colours[2]}})),
    };
  }

  function marks(look, parts) {
    const all = parts.map((part) => part(look));
    return {shapes: all.flatMap((each) => each.shapes), annotations: all.flatMap((each) => each.annotations)};
  }

  // -- drawing --------------------------------------------------------------------------------------------------------

  function layout(look, chart, traces) {
    const base = {autosize: true, paper_bgcolor: look.paper, plot_bgcolor: look.paper, colorway: look.colours,
      font: {color: look.ink, size: 12, family: "system-ui, sans-serif"}, margin: {l: 48, r: 20, t: chart.time ? 30 : 16, b: 32},
      hovermode: "x unified", showlegend: true, legend: {orientation: "h", x: 0, y: -0.11, yanchor: "top", itemwidth: 30},
      hoverlabel: {bgcolor: look.paper, bordercolor: look.soft, font: {color: look.ink}}, dragmode: coarse ? false : "zoom",
      modebar: {bgcolor: "rgba(0,0,0,0)", color: look.soft, activecolor: look.ink, orientation: "v"}};
    if (chart.time) {
      const parts = data.phases ? [phases, events] : [];
      Object.assign(base, marks(look, chart.staged ? [...parts, stages] : parts));
      base.xaxis = axis(look, {range: chart.range || span(), ticksuffix: " s", hoverformat: ",.1f", minallowed: 0});
    }
    const more = chart.more(look, traces);
    if (more.xaxis?.title) base.legend.y = -0.19; // below it
    return Object.assign(base, more, {xaxis: more.xaxis ? axis(look, more.xaxis) : base.xaxis, yaxis: axis(look, more.yaxis)});
  }

  function paint(chart) {
    const look = isDark() ? DARK : LIGHT, traces = chart.traces(look);
    return Plotly.react(chart.place, traces, layout(look, chart, traces), CONFIG);
  }

  function draw(id, traces, more, settings = {}) {
    const place = document.getElementById(id);
    if (!place) return;
    const chart = Object.assign({id, place, traces, more, time: true}, settings);
    drawn.push(chart);
    paint(chart);
    scalable(place);
    place.on("plotly_afterplot", () => scalable(place));
    if (chart.time) place.on("plotly_relayout", (change) => follow(chart, change));
  }

  // On paper a chart is as wide as the paper: the style sheet needs a view box for that.
  function scalable(place) {
    for (const drawing of place.querySelectorAll(".main-svg")) {
      drawing.setAttribute("viewBox", `0 0 ${drawing.getAttribute("width")} ${drawing.getAttribute("height")}`);
    }
  }

  // Who zooms one chart over time sees the same stretch in all of them; a double click shows everything again.
  let following = false;
  function follow(from, change) {
    const range = "xaxis.range[0]" in change ? [change["xaxis.range[0]"], change["xaxis.range[1]"]]
      : change["xaxis.range"] || (change["xaxis.autorange"] ? span() : null);
    if (following || !range) return;
    following = true;
    const all = drawn.filter((chart) => chart.time);
    all.forEach((chart) => { chart.range = [...range]; });
    const others = all.filter((chart) => chart !== from || change["xaxis.autorange"]);
    Promise.all(others.map((chart) => Plotly.relayout(chart.place, {"xaxis.range": [...range]}))).finally(() => { following = false; });
  }

  const line = (name, y, more = {}) => Object.assign({type: "scatter", mode: "lines", name: plain(name), x: data.t, y,
    line: {width: 1.75}, connectgaps: false}, more);
  const lines = (columns) => Object.entries(columns || {}).map(([name, values]) => line(name, values));
  const upright = (title, more = {}) => ({yaxis: Object.assign({title, rangemode: "tozero"}, more)});
  const milliseconds = (log, traces) => ({yaxis: log ? Object.assign({title: "milliseconds"}, decades(traces.flatMap((each) => each.y)))
    : {title: "milliseconds", rangemode: "tozero"}});

  // -- the charts of a run ------------------------------------------------------------------------------------------------

  function run() {
    const dashed = (dash) => ({line: {dash, width: 1.75}});
    const any = (column) => column.some((value) => value);
    const rate = (look) => [
      line("achieved", data.rate.achieved), line("offered", data.rate.offered, dashed("dash")),
      ...(any(data.rate.intended) ? [line("intended", data.rate.intended, {line: {dash: "dot", width: 1.5, color: look.soft}})] : []),
      ...(any(data.rate.dropped) ? [line("dropped", data.rate.dropped, {line: {width: 1.75, color: look.colours.at(-1)}})] : [])];
    draw("chart-rate", rate, () => upright("sessions per second"), {staged: true});
    draw("chart-requests", () => lines(data.requests), () => upright("requests per second"));
    draw("chart-latency", () => {
      const chosen = data.latency[pick("latency-kind")]?.[pick("latency-operation")] || {};
      return Object.entries(chosen).map(([rank, values]) => line(rank, values, {hovertemplate: "%{y:,.4~g} ms"}));
    }, (look, traces) => milliseconds(pick("latency-scale") === "log" && traces.length, traces));
    draw("chart-percentiles", () => Object.entries(data.percentiles[pick("percentile-kind")] || {}).map(([name, curve]) => ({
      type: "scatter", mode: "lines", name: plain(name), x: curve.x, y: curve.y, text: curve.rank,
      hovertemplate: "%{text} % within %{y:,.4~g} ms", line: {width: 1.75, shape: "hv"}})),
    (look, traces) => Object.assign({hovermode: "closest", xaxis: Object.assign({title: "percentile"}, RANKS)},
      milliseconds(pick("percentile-scale") === "log" && traces.length, traces)), {time: false});
    draw("chart-heat", (look) => [{type: "heatmap", x: data.t.map((end) => end - data.step_s / 2), y: data.heat.y,
      z: data.heat.counts.map((row) => row.map((count) => count === null ? null : Math.log10(count + 1))), customdata: data.heat.counts,
      colorscale: look.heat, reversescale: look.reversed, hoverongaps: false, showscale: false,
      hovertemplate: "%{x:,.1f} s, about %{y:,.3~g} ms: %{customdata:,} requests<extra></extra>"}],
    () => ({hovermode: "closest", showlegend: false, yaxis: Object.assign({title: "milliseconds"}, decades(data.heat.y))}));
    draw("chart-codes", () => lines(data.codes), () => upright("per second"));
    draw("chart-open", () => [line("open", data.open)], () => Object.assign(upright("sessions"), {showlegend: false}));
    draw("chart-sessions", () => lines(data.sessions), () => upright("sessions per second"));
    draw("chart-units", () => {
      const {used, acknowledged} = data.units[pick("units-unit")].columns;
      return [line("acknowledged", acknowledged), line("used", used, dashed("dash"))];
    }, () => upright(data.units[pick("units-unit")].title));
    draw("chart-connections", () => lines(data.connections), () => upright("at a time"));
    draw("chart-cpu", () => lines(data.cpu), () => upright("% of a core", {range: [0, 105]}));
    draw("chart-lag", () => lines(data.delays), () => upright("milliseconds"));
  }

  // -- the chart of a capacity search ---------------------------------------------------------------------------------------

  function capacity() {
    const {steps, ranks, limits} = data.capacity;
    const symbols = {held: "circle", failed: "x", "not decided": "diamond", "not valid": "circle-open"};
    // The line goes through the last valid step of each rate; all steps have their mark.
    const line = steps.filter((step, index) => step.verdict !== "not valid"
      && !steps.slice(index + 1).some((later) => later.rate === step.rate && later.verdict !== "not valid"));
    const curves = (look) => ranks.flatMap((rank, index) => {
      const color = look.colours[index], y = (each) => each.ms[rank] ?? null;
      return [{type: "scatter", mode: "lines", name: rank, x: line.map((each) => each.rate), y: line.map(y), hoverinfo: "skip",
        line: {width: 1.75, color}},
      {type: "scatter", mode: "markers", name: rank, showlegend: false, x: steps.map((each) => each.rate), y: steps.map(y),
        text: steps.map((each) => `step ${each.number}, ${plain(each.verdict)}`), hovertemplate: "%{y:,.4~g} ms at %{x:,}/s, %{text}",
        marker: {size: 9, color, symbol: steps.map((each) => symbols[each.verdict] || "circle")}}];
    });
    const ends = [steps[0].rate, steps.at(-1).rate];
    const borders = (look) => limits.map((limit, index) => ({type: "scatter", mode: "lines", name: plain(limit.text), hoverinfo: "skip",
      x: ends, y: [limit.ms, limit.ms], line: {dash: "dash", width: 1.5, color: look.colours.at(-1 - index % 4)}}));
    draw("chart-capacity", (look) => [...curves(look), ...borders(look)], (look, traces) => Object.assign({hovermode: "closest",
      xaxis: {title: "arrivals per second (● held, ✕ failed, ◆ not decided, ○ not valid)", rangemode: "tozero"}},
    milliseconds(true, traces)), {time: false});
  }

  const follows = (selects, id) => selects.forEach((name) => document.getElementById(name)?.addEventListener("change", () => {
    paint(drawn.find((each) => each.id === id));
  }));

  if (data.capacity) capacity(); else run();
  follows(["latency-kind", "latency-operation", "latency-scale"], "chart-latency");
  follows(["percentile-kind", "percentile-scale"], "chart-percentiles");
  follows(["units-unit"], "chart-units");

  const button = document.getElementById("theme");
  const repaint = () => { drawn.forEach(paint); button.textContent = isDark() ? "Light" : "Dark"; };
  button.hidden = false;
  button.textContent = isDark() ? "Light" : "Dark";
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; repaint(); });
  dark.addEventListener("change", repaint);
  addEventListener("beforeprint", () => { printing = true; drawn.forEach(paint); });
  addEventListener("afterprint", () => { printing = false; drawn.forEach(paint); });
})();
