// Plots of the last hours: lines over time, out of one JSON document for each page. Each has a table beside it.
"use strict";
(() => {
  const language = document.documentElement.lang;
  const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const time = (seconds) => clock.format(new Date(seconds * 1000));
  const number = (value, most) => new Intl.NumberFormat(language, { maximumFractionDigits: most }).format(value);
  const HEIGHT = 200; // without the legend
  const UNITS = {
    seconds: (value) => (value < 1 ? `${number(value * 1000, 0)} ms` : `${number(value, 2)} s`),
    share: (value) => `${number(value * 100, 0)} %`,
    count: (value) => number(value, value < 0.1 ? 3 : 2),
    rate: (value) => number(value, 1),
  };
  const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]]; // told apart without colours, too
  const REFRESH_MS = 60_000;
  const drawn = [];

  // The sum of some columns, as so much in a minute where that is wanted; nothing where nothing is known.
  const value = (archive, keys, at, seconds, isRate) => {
    const values = archive ? keys.map((key) => archive[key][at]).filter((one) => one !== null) : [];
    const sum = values.reduce((one, other) => one + other, 0);
    return values.length ? (isRate ? (sum * 60) / seconds : sum) : null;
  };

  const columns = (place, found) => {
    const archive = found[place.kind].find((one) => one.aeTitle === place.archive);
    const line = ({ keys }) =>
      found.endsAt.map((_, at) => value(archive, keys, at, found.seconds[at], place.unit === "rate"));
    place.breaker = (archive && archive.breaker) || [];
    place.hours = found.hours;
    place.step = found.stepSeconds;
    return [found.endsAt, ...place.lines.map(line)];
  };

  // Times at which the breaker was not closed, behind the lines.
  const shade = (place) => (plot) => {
    plot.ctx.save();
    plot.ctx.fillStyle = colour("--bad-soft");
    const { left, top, width, height } = plot.bbox;
    place.breaker.forEach((state, at) => {
      if (state === null || state === "closed") return;
      const ends = plot.data[0][at];
      const from = Math.max(left, plot.valToPos(ends - place.step, "x", true));
      plot.ctx.fillRect(from, top, Math.min(plot.valToPos(ends, "x", true), left + width) - from, height);
    });
    plot.ctx.restore();
  };

  const draw = (element, holder, found) => {
    const { unit } = element.dataset;
    const told = UNITS[unit];
    const { kind, archive } = holder.dataset;
    const place = { unit, kind, archive, lines: JSON.parse(element.dataset.lines) };
    const size = () => ({ width: element.clientWidth, height: HEIGHT });
    const axis = {
      stroke: () => colour("--muted"),
      grid: { stroke: () => colour("--line"), width: 1 },
      ticks: { stroke: () => colour("--line") },
    };
    const data = columns(place, found);
    const now = () => Date.now() / 1000;
    const plot = new window.uPlot(
      {
        ...size(),
        scales: {
          x: { range: () => [now() - place.hours * 3600, now()] },
          y: { range: (_, low, high) => [0, unit === "share" ? 1.05 : (high || 1) * 1.05] },
        },
        axes: [
          { ...axis, values: (_, values) => values.map(time), space: 80 },
          { ...axis, values: (_, values) => values.map(told), size: 70 },
        ],
        series: [
          { label: holder.dataset.time, value: (_, value) => (value === null ? "–" : time(value)) },
          ...place.lines.map((line, at) => ({
            label: line.label,
            stroke: () => colour(line.colour),
            dash: DASHES[at % DASHES.length],
            width: 2,
            points: { show: true, size: 4, fill: () => colour(line.colour) },
            value: (_, value) => (value === null ? "–" : told(value)),
          })),
        ],
        hooks: { drawClear: [shade(place)] },
      },
      data,
      element,
    );
    drawn.push({
      holder,
      renew: (newer) => plot.setData(columns(place, newer)),
      resize: () => plot.setSize(size()),
      repaint: () => plot.redraw(false),
    });
  };

  // Nothing where the service gives none: what is drawn stays, and is renewed the next time.
  const ask = async (source, headers) => {
    try {
      const answer = await fetch(source, { headers });
      return answer.ok ? await answer.json() : null;
    } catch {
      return null;
    }
  };

  const begin = async () => {
    for (const holder of document.querySelectorAll("[data-plots]:not([data-drawn])")) {
      holder.dataset.drawn = "";
      const found = await ask(holder.dataset.plots, {});
      if (found) for (const element of holder.querySelectorAll(".plot")) draw(element, holder, found);
    }
  };

  const renew = async () => {
    const sources = new Set(drawn.map(({ holder }) => holder.dataset.plots));
    for (const source of sources) {
      const found = await ask(source, { "Dcm4py-By-Itself": "true" });
      if (found) drawn.filter(({ holder }) => holder.dataset.plots === source).forEach((one) => one.renew(found));
    }
  };

  document.addEventListener("DOMContentLoaded", begin);
  document.addEventListener("htmx:afterSettle", begin);
  window.addEventListener("resize", () => drawn.forEach((one) => one.resize()));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach((one) => one.repaint()));
  window.setInterval(renew, REFRESH_MS);
})();
