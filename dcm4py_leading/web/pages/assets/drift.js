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
    const told = (seconds) => (seconds === null ? "–" : month.format(new Date(seconds * 1000)));
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
        scales: { y: { range: (_, low, high) => [0, Math.max(1, high)] } },
        axes: [
          { ...axis, values: (_, values) => values.map(told), space: 90, incrs: MONTHS },
          { ...axis, values: (_, values) => values.map((value) => number.format(value)), size: 70, incrs: COUNTS },
        ],
        series: [
          { label: place.dataset.month, value: (_, value) => told(value) },
          ...[place.dataset.stale, ...found.attributes.map((one) => one.name)].map(line),
        ],
      },
      columns(found),
      place,
    );
    return { place, plot, names: JSON.stringify(found.attributes.map((one) => one.name)), studies: place.dataset.studies };
  };

  // Anew where there are other lines; whoever reads the page while it changes sees the same plot grow.
  const renew = async () => {
    const place = document.getElementById("drift-plot");
    if (!place || !window.uPlot) return;
    const { studies } = place.dataset;
    if (drawn && drawn.place === place && place.childElementCount && drawn.studies === studies) return;
    const answer = await fetch(place.dataset.source, { headers: { "Dcm4py-By-Itself": "true" } });
    if (!answer.ok) return; // what is drawn stays
    const found = await answer.json();
    if (drawn) drawn.plot.destroy();
    place.replaceChildren();
    drawn = draw(place, found);
  };

  document.addEventListener("DOMContentLoaded", renew);
  document.addEventListener("htmx:afterSettle", renew);
  window.addEventListener("resize", () => drawn && drawn.plot.setSize({ width: drawn.place.clientWidth, height: HEIGHT }));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn && drawn.plot.redraw(false));
})();
