// The plot of stale studies by month of Study Date, out of a JSON document; the table beside it tells the same.
"use strict";
(() => {
  const language = document.documentElement.lang;
  const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  const month = new Intl.DateTimeFormat(language, { year: "numeric", month: "short", timeZone: "UTC" });
  const number = new Intl.NumberFormat(language);
  const COLOURS = ["--text", "--accent", "--good", "--warn", "--bad"];
  const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [4, 2]]; // told apart without colours, too
  const HEIGHT = 220; // without the legend
  const MONTHS = [1, 2, 3, 4, 6].map((count) => count * 30 * 86400).concat([1, 2, 5, 10].map((years) => years * 365 * 86400));
  const COUNTS = [0, 1, 2, 3, 4, 5, 6, 7].flatMap((power) => [1, 2, 5].map((count) => count * 10 ** power));
  const REFRESH_MS = 10_000;
  const told = { studies: "", at: 0 };
  let drawn = null;

  const columns = (found) => [
    found.months.map((text) => Date.parse(`${text}-01T00:00:00Z`) / 1000),
    found.stale,
    ...found.attributes.map((one) => one.studies),
  ];

  const draw = (place, found) => {
    const axis = {
      stroke: () => colour("--muted"),
      grid: { stroke: () => colour("--line"), width: 1 },
      ticks: { stroke: () => colour("--line") },
    };
    const named = (seconds) => (seconds === null ? "–" : month.format(new Date(seconds * 1000)));
    const line = (label, at) => ({
      label,
      stroke: () => colour(COLOURS[at]),
      dash: DASHES[at],
      width: 2,
      points: { show: true, size: 4, fill: () => colour(COLOURS[at]) },
      value: (_, value) => (value === null ? "–" : number.format(value)),
    });
    const plot = new window.uPlot(
      {
        width: place.clientWidth,
        height: HEIGHT,
        padding: [null, 28, null, null],
        tzDate: (seconds) => window.uPlot.tzDate(new Date(seconds * 1000), "UTC"),
        scales: { y: { range: (_, low, high) => [0, Math.max(1, high * 1.05)] } },
        axes: [
          { ...axis, values: (_, values) => values.map(named), space: 90, incrs: MONTHS },
          { ...axis, values: (_, values) => values.map((value) => number.format(value)), size: 70, incrs: COUNTS },
        ],
        series: [
          { label: place.dataset.month, value: (_, value) => named(value) },
          ...[place.dataset.stale, ...found.attributes.map((one) => one.name)].map(line),
        ],
      },
      columns(found),
      place,
    );
    return { place, plot };
  };

  // While the comparison runs, what is drawn is renewed now and then.
  const renew = async () => {
    const place = document.getElementById("drift-plot");
    const live = document.getElementById("drift");
    if (!place || !live || !window.uPlot) return;
    if (live.dataset.studies === told.studies || Date.now() < told.at + REFRESH_MS) return;
    Object.assign(told, { studies: live.dataset.studies, at: Date.now() });
    const answer = await fetch(place.dataset.source, { headers: { "Dcm4py-By-Itself": "true" } });
    if (!answer.ok) return; // what is drawn stays
    const found = await answer.json();
    if (drawn) drawn.plot.destroy();
    drawn = draw(place, found);
  };

  document.addEventListener("DOMContentLoaded", renew);
  document.addEventListener("htmx:afterSettle", renew);
  window.addEventListener("resize", () => drawn && drawn.plot.setSize({ width: drawn.place.clientWidth, height: HEIGHT }));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn && drawn.plot.redraw(false));
})();
