"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  // Okabe and Ito's colours, which most people can tell from each other.
  const light = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#5b5b5b", "#7f3c8d"];
  const dark = ["#56b4e9", "#ff9a57", "#3fd0a4", "#e7a3cc", "#f0e442", "#9fd3f5", "#c0c0c0", "#c79bd8"];
  const shades = {warmup: "rgba(230,159,0,.10)", cooldown: "rgba(230,159,0,.10)", drain: "rgba(120,130,145,.14)"};
  const drawn = [];

  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const style = () => {
    const ink = isDark() ? "#e8eaed" : "#1b1d21", soft = isDark() ? "#a2a9b3" : "#5a6069", line = isDark() ? "#343942" : "#e6e8eb";
    return {ink, soft, line, colours: isDark() ? dark : light, paper: isDark() ? "#1b1e23" : "#ffffff"};
  };
  const axis = (look, more) => Object.assign({gridcolor: look.line, zerolinecolor: look.line, linecolor: look.line, automargin: true,
    tickfont: {color: look.soft}, title: {font: {color: look.soft, size: 12}}, fixedrange: false}, more);

  function marks(look) {
    const shapes = [], annotations = [];
    for (const [phase, start, end] of data.phases) {
      if (!shades[phase]) continue;
      shapes.push({type: "rect", xref: "x", yref: "paper", x0: start, x1: end, y0: 0, y1: 1, fillcolor: shades[phase],
        line: {width: 0}, layer: "below"});
      annotations.push({x: start, y: 1, xref: "x", yref: "paper", text: phase, showarrow: false, xanchor: "left", yanchor: "top",
        font: {size: 10, color: look.soft}});
    }
    data.events.forEach((event, index) => {
      shapes.push({type: "line", xref: "x", yref: "paper", x0: event.at_s, x1: event.at_s, y0: 0, y1: 1,
        line: {color: look.soft, width: 1, dash: "dot"}});
      annotations.push({x: event.at_s, y: 0, xref: "x", yref: "paper", text: String(index + 1), hovertext: plain(event.text),
        showarrow: false, yanchor: "bottom", bgcolor: look.paper, bordercolor: look.soft, borderpad: 1, font: {size: 9, color: look.soft}});
    });
    return {shapes, annotations};
  }

  // Plotly reads some markup in texts; what a CHF said must not be any.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  function layout(look, more, time) {
    const base = {paper_bgcolor: look.paper, plot_bgcolor: look.paper, font: {color: look.ink, size: 12, family: "system-ui, sans-serif"},
      margin: {l: 56, r: 16, t: 16, b: 40}, hovermode: "x unified", legend: {orientation: "h", y: -0.2, yanchor: "top"},
      hoverlabel: {bgcolor: look.paper, bordercolor: look.line, font: {color: look.ink}}, colorway: look.colours, height: 340,
      modebar: {bgcolor: "rgba(0,0,0,0)", color: look.soft, activecolor: look.ink}};
    if (time) Object.assign(base, marks(look), {xaxis: axis(look, {title: {text: "seconds since the start"}, range: [0, data.t.at(-1) || 1]})});
    return Object.assign(base, more(look));
  }

  function draw(id, traces, more, time = true) {
    const place = document.getElementById(id);
    if (!place) return;
    const paint = () => {
      const look = style();
      return Plotly.react(place, traces(look), layout(look, more, time), {responsive: true, displaylogo: false,
        modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"]});
    };
    drawn.push({id, time, place, paint});
    place.replaceChildren();
    paint();
    if (time) place.on("plotly_relayout", (change) => follow(place, change));
  }

  // Who zooms one chart over time sees the same stretch in all of them.
  let following = false;
  function follow(place, change) {
    const zoomed = "xaxis.range[0]" in change, reset = change["xaxis.autorange"];
    if (following || (!zoomed && !reset)) return;
    following = true;
    const range = zoomed ? [change["xaxis.range[0]"], change["xaxis.range[1]"]] : [0, data.t.at(-1) || 1];
    const others = drawn.filter((chart) => chart.time && (chart.place !== place || reset));
    Promise.all(others.map((chart) => Plotly.relayout(chart.place, {"xaxis.range": range}))).finally(() => { following = false; });
  }

  const line = (name, y, more = {}) => Object.assign({type: "scatter", mode: "lines", name: plain(name), x: data.t, y,
    line: {width: 1.75}, connectgaps: false}, more);
  const y = (text, more = {}) => (look) => ({yaxis: axis(look, Object.assign({title: {text}, rangemode: "tozero"}, more))});
  const milliseconds = (log) => y("milliseconds", log ? {type: "log", rangemode: "normal"} : {});
  const pick = (id) => document.getElementById(id)?.value;

  draw("chart-rate", () => [line("offered", data.rate.offered, {line: {dash: "dash", width: 1.75}}), line("achieved", data.rate.achieved),
    line("dropped", data.rate.dropped), ...(data.rate.target.some((v) => v) ? [line("intended", data.rate.target, {line: {dash: "dot", width: 1.25}})] : [])],
    y("sessions per second"));
  draw("chart-requests", () => Object.entries(data.requests).map(([name, values]) => line(name, values)), y("requests per second"));

  function latency() {
    const kind = pick("latency-kind"), operation = pick("latency-operation"), chosen = data.latency[kind][operation];
    return ["p50", "p90", "p99", "max"].filter((rank) => chosen).map((rank) => line(rank, chosen[rank]));
  }
  draw("chart-latency", latency, (look) => milliseconds(pick("latency-scale") === "log")(look));
  draw("chart-percentiles", () => Object.entries(data.percentiles[pick("percentile-kind")] || {}).map(([name, curve]) => ({
    type: "scatter", mode: "lines", name, x: curve.x, y: curve.y, text: curve.rank, hovertemplate: "%{text} %: %{y:.3f} ms", line: {width: 1.75, shape: "hv"}})),
    (look) => pick("percentile-scale") === "log"
      ? {hovermode: "closest", xaxis: axis(look, {title: {text: "percentile"}, tickvals: [0, 1, 2, 3, 4, 5], ticktext: ["0", "90", "99", "99.9", "99.99", "99.999"]}),
        yaxis: axis(look, {title: {text: "milliseconds"}, type: "log"})}
      : {hovermode: "closest", xaxis: axis(look, {title: {text: "percentile"}, tickvals: [0, 1, 2, 3, 4, 5], ticktext: ["0", "90", "99", "99.9", "99.99", "99.999"]}),
        yaxis: axis(look, {title: {text: "milliseconds"}, rangemode: "tozero"})}, false);
  draw("chart-heat", () => [{type: "heatmap", x: data.t, y: data.heat.y, z: data.heat.z, customdata: data.heat.counts, colorscale: isDark() ? "Cividis" : "YlGnBu",
    reversescale: !isDark(), hoverongaps: false, showscale: false, hovertemplate: "%{x} s, %{y:.3g} ms: %{customdata} requests<extra></extra>"}],
    (look) => ({hovermode: "closest", yaxis: axis(look, {title: {text: "milliseconds"}, type: "log"})}));
  draw("chart-codes", () => Object.entries(data.codes).map(([name, values]) => line(name, values)), y("per second"));
  draw("chart-sessions", () => [line("open", data.sessions.open), line("started per second", data.sessions.started, {yaxis: "y2"}),
    line("ended well per second", data.sessions.completed, {yaxis: "y2"}), line("failed per second", data.sessions.failed, {yaxis: "y2"})],
    (look) => ({yaxis: axis(look, {title: {text: "open sessions"}, rangemode: "tozero"}),
      yaxis2: axis(look, {title: {text: "per second"}, overlaying: "y", side: "right", rangemode: "tozero", showgrid: false}), margin: {l: 56, r: 56, t: 16, b: 40}}));
  draw("chart-units", () => Object.entries(data.units[pick("units-unit")] || {}).map(([name, values]) => line(name, values)),
    (look) => y((data.unit_words || {})[pick("units-unit")] || "units per second")(look));
  draw("chart-connections", () => Object.entries(data.connections).map(([name, values]) => line(name, values)), y("at a time"));
  draw("chart-cpu", () => Object.entries(data.generator.cpu).map(([name, values]) => line(name, values)), y("% of a core", {range: [0, 105]}));
  draw("chart-lag", () => Object.entries(data.generator.delays).map(([name, values]) => line(name, values)), milliseconds(false));

  const onChange = (selects, id) => selects.forEach((name) => document.getElementById(name)?.addEventListener("change", () => {
    drawn.find((each) => each.id === id)?.paint();
  }));
  onChange(["latency-kind", "latency-operation", "latency-scale"], "chart-latency");
  onChange(["percentile-kind", "percentile-scale"], "chart-percentiles");
  onChange(["units-unit"], "chart-units");

  const button = document.getElementById("theme");
  const name = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  const repaintAll = () => { drawn.forEach((chart) => chart.paint()); name(); };
  button.hidden = false;
  name();
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; repaintAll(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaintAll);
})();
