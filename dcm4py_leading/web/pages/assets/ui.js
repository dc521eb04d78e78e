// What the pages do besides htmx. Every page works without it.
"use strict";
(() => {
  // To what is to be read first: the first field with an error, else what the answer begins with.
  const focus = () => {
    const first = document.querySelector("[aria-invalid=true]") || document.querySelector("[data-focus]");
    if (!first) return;
    const folded = first.closest("details:not([open])");
    if (folded) folded.open = true;
    first.focus();
  };

  // A link to a field opens what it is folded in.
  const unfold = () => {
    const wanted = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!wanted) return;
    for (let at = wanted.parentElement; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    wanted.classList.add("hit");
    wanted.scrollIntoView();
  };

  // A button that ends something asks before.
  document.addEventListener("submit", (event) => {
    const question = event.submitter && event.submitter.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });

  // What was said of a value while it was typed tells whether it is one.
  document.addEventListener("htmx:afterSwap", (event) => {
    const said = event.detail.target;
    if (!said || !said.id.startsWith("s-")) return;
    const isWrong = said.querySelector(".error") !== null;
    for (const element of document.getElementsByName(said.id.slice(2))) {
      if (isWrong) element.setAttribute("aria-invalid", "true");
      else element.removeAttribute("aria-invalid");
    }
    if (!isWrong) {
      const old = document.getElementById("e-" + said.id.slice(2));
      if (old) old.replaceChildren();
    }
  });

  // Associations since the page was opened, the last ten minutes of them.
  // What came of a trial is read next; the form, and the file in it, stay.
  document.addEventListener("htmx:afterSettle", () => {
    const result = document.querySelector("#result [data-focus]");
    if (result && !result.dataset.read) {
      result.dataset.read = "true";
      result.focus();
    }
  });

  // Where that fails, the browser sends the form itself, and shows why.
  const sendItself = (event) => {
    const form = event.detail.elt;
    if (form && form.enctype === "multipart/form-data") form.submit();
  };
  document.addEventListener("htmx:responseError", sendItself);
  document.addEventListener("htmx:sendError", sendItself);

  // A file that is dropped on a section is the file of its field.
  const drop = () => {
    for (const place of document.querySelectorAll("[data-drop]")) {
      const mark = (isOver) => place.classList.toggle("dropping", isOver);
      place.addEventListener("dragover", (event) => {
        if (!event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        mark(true);
      });
      place.addEventListener("dragleave", () => mark(false));
      place.addEventListener("drop", (event) => {
        mark(false);
        if (!event.dataTransfer.files.length) return;
        event.preventDefault();
        document.getElementById(place.dataset.drop).files = event.dataTransfer.files;
      });
    }
  };

  const plot = () => {
    const place = document.getElementById("plot");
    const live = () => document.getElementById("live");
    if (!place || !live() || !window.uPlot) return;
    const style = getComputedStyle(document.body);
    const colour = (name) => style.getPropertyValue(name).trim();
    const data = [[], []];
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
    const clock = new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    const times = (_, seconds) => seconds.map((one) => clock.format(new Date(one * 1000)));
    const size = () => ({ width: place.clientWidth, height: place.clientHeight });
    const drawn = new window.uPlot(
      {
        ...size(),
        scales: { x: { range: () => [Date.now() / 1000 - 600, Date.now() / 1000] }, y: { range: (_, low, high) => [0, Math.max(4, high)] } },
        legend: { show: false },
        axes: [{ ...axis, values: times, space: 80 }, { ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] }],
        series: [{}, { label: place.dataset.label, stroke: colour("--accent"), width: 2, paths: window.uPlot.paths.stepped({ align: 1 }) }],
      },
      data,
      place,
    );
    const add = () => {
      const now = Date.now() / 1000;
      data[0].push(now);
      data[1].push(Number(live().dataset.associations));
      while (data[0][0] < now - 600) data.forEach((values) => values.shift());
      drawn.setData(data);
    };
    add();
    document.addEventListener("htmx:afterSettle", add);
    window.addEventListener("resize", () => drawn.setSize(size()));
  };

  document.addEventListener("DOMContentLoaded", () => {
    unfold();
    focus();
    drop();
    plot();
  });
  window.addEventListener("hashchange", unfold);
})();
