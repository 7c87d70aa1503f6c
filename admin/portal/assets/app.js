// What pages gain by script: light and dark, copying, confirming, dropping files,
// dragging items, charts, live numbers. All of it hangs on data- attributes, so
// that a part of a page that was put in place later has it too.
"use strict";

(() => {
  const root = document.documentElement;
  root.classList.add("scripted");

  // Light and dark: as the system has it, until somebody chooses.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const chosenTheme = () => {
    try { return localStorage.getItem("muster-theme"); } catch { return null; }
  };
  const showTheme = () => {
    root.dataset.bsTheme = chosenTheme() || (dark.matches ? "dark" : "light");
    redrawCharts();
  };
  const switchTheme = () => {
    try { localStorage.setItem("muster-theme", root.dataset.bsTheme === "dark" ? "light" : "dark"); } catch { return; }
    showTheme();
  };

  // say tells something to screen readers.
  const say = (text) => {
    const said = document.getElementById("said");
    if (said) said.textContent = text;
  };

  // Copying works without a secure context too: these servers are often reached by plain HTTP.
  const copy = async (button) => {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      area.setAttribute("aria-hidden", "true");
      area.className = "visually-hidden";
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    button.classList.add("copied");
    say("Copied");
    setTimeout(() => button.classList.remove("copied"), 1600);
  };

  // confirmed asks before a form that can't be taken back is sent.
  const confirmed = (form, submitter) => {
    const dialog = document.getElementById("confirm");
    document.getElementById("confirm-title").textContent = form.dataset.confirm;
    document.getElementById("confirm-text").textContent = form.dataset.confirmText || "";
    document.getElementById("confirm-yes").textContent = form.dataset.confirmYes || "Yes";
    dialog.returnValue = "";
    dialog.showModal();
    dialog.addEventListener("close", () => {
      if (dialog.returnValue !== "yes") return;
      form.dataset.confirmed = "yes";
      form.requestSubmit(submitter);
    }, { once: true });
  };

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.dataset.confirm || form.dataset.confirmed || event.target.method === "dialog") return;
    event.preventDefault();
    event.stopImmediatePropagation();
    confirmed(form, event.submitter);
  }, true);

  document.addEventListener("click", (event) => {
    const on = (selector) => event.target.closest(selector);
    let hit;
    if ((hit = on("[data-copy]"))) copy(hit);
    if (on("[data-theme-switch]")) switchTheme();
    if ((hit = on("[data-close]"))) document.getElementById(hit.dataset.close)?.remove();
    if ((hit = on("[data-menu]"))) {
      const open = document.getElementById("side").classList.toggle("open");
      hit.setAttribute("aria-expanded", String(open));
    }
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-send]")) event.target.form.requestSubmit();
    if (event.target.matches("[data-choose]")) { // what is typed beside a choice, chooses it
      document.getElementById(event.target.dataset.choose).checked = true;
    }
  });

  // A license file may be dropped anywhere on a page that has a place for it.
  const dropForm = () => document.querySelector("form[data-drop]");
  const hasFiles = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
  let veil;
  const unveil = () => { veil?.remove(); veil = null; };
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event) || !dropForm()) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    if (veil) return;
    veil = document.createElement("div");
    veil.className = "veil";
    veil.textContent = "Drop the license file to look at it";
    document.body.append(veil);
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) unveil(); });
  document.addEventListener("drop", (event) => {
    const form = dropForm();
    if (!hasFiles(event) || !form) return;
    event.preventDefault();
    unveil();
    form.querySelector("input[type=file]").files = event.dataTransfer.files;
    form.requestSubmit();
  });

  // Items of a project are put in order by dragging; the form holds the order.
  let dragged;
  const rowAt = (event) => event.target.closest?.("[data-order] > li");
  const marks = (row) => row?.classList.remove("before", "after");
  const below = (row, event) => event.clientY > row.getBoundingClientRect().top + row.offsetHeight / 2;
  document.addEventListener("dragstart", (event) => {
    dragged = rowAt(event);
    if (!dragged) return;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", "");
    dragged.classList.add("dragged");
  });
  document.addEventListener("dragover", (event) => {
    const row = dragged && rowAt(event);
    if (!row || row.parentNode !== dragged.parentNode) return;
    event.preventDefault();
    [...row.parentNode.children].forEach(marks);
    if (row !== dragged) row.classList.add(below(row, event) ? "after" : "before");
  });
  document.addEventListener("drop", (event) => {
    const row = dragged && rowAt(event);
    if (!row || row.parentNode !== dragged.parentNode) return;
    event.preventDefault();
    marks(row);
    if (row === dragged) return;
    row[below(row, event) ? "after" : "before"](dragged);
    row.closest("form").requestSubmit();
  });
  document.addEventListener("dragend", () => {
    dragged?.classList.remove("dragged");
    if (dragged) [...dragged.parentNode.children].forEach(marks);
    dragged = null;
  });

  // Charts. Bars stand on each other: they are drawn from the highest sum down.
  const drawn = new Map(); // element -> uPlot
  const color = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const palette = () => (root.dataset.bsTheme === "dark"
    ? ["#4bb5a9", "#e3a94f", "#7f9cf0", "#d77fb0", "#9ac65a", "#c09be8", "#e58a63", "#8fa3ab"]
    : ["#2f8f86", "#d3902c", "#4b6cc9", "#b8558b", "#6f9a2f", "#8a62c0", "#c4633b", "#6b7d85"]);
  const counted = (n) => (n == null ? "–" : n.toLocaleString("en-US"));
  const short = (n) => (n >= 1e6 ? n / 1e6 + " M" : n >= 1e4 ? n / 1e3 + " k" : counted(n));

  const stacked = (series) => series.map((_, i) => series[0].values.map((_, t) => series.slice(0, i + 1).reduce((s, l) => s + l.values[t], 0)));

  const optionsOf = (chart, width, height) => {
    const bars = chart.kind === "bars";
    const step = chart.times.length > 1 ? chart.times[1] - chart.times[0] : 86400;
    const axis = { stroke: color("--quiet"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, font: "12px Inter, sans-serif" };
    const colors = palette();
    const series = chart.series.map((line, i) => ({
      label: line.name, stroke: colors[i % colors.length], width: bars ? 0 : 2, fill: bars ? colors[i % colors.length] : colors[i % colors.length] + "22",
      paths: bars ? uPlot.paths.bars({ size: [0.7, 44], radius: chart.series.length > 1 ? 0 : 0.15 }) : uPlot.paths.linear(),
      points: { show: !bars && chart.times.length < 40, size: 5 }, value: (_, __, ___, at) => (at == null ? "" : counted(line.values[at])),
    }));
    return {
      width, height, tzDate: (t) => uPlot.tzDate(new Date(t * 1e3), "Etc/UTC"),
      cursor: { y: false, drag: { x: false, y: false } },
      legend: { live: true },
      scales: {
        x: { range: (_, min, max) => [min - step * 0.6, max + step * 0.6] },
        y: { range: (_, __, max) => [0, Math.max(max || 0, chart.quota || 0, 1) * 1.08] },
      },
      axes: [{ ...axis, size: 34, grid: { show: false }, values: (_, at) => at.map((t) => stamp(t, chart.grain, chart.times.length)) },
        { ...axis, size: 58, values: (_, at) => at.map((n) => (Number.isInteger(n) ? short(n) : "")) }],
      series: [{ label: " ", value: (_, t) => (t == null ? "" : stamp(t, chart.grain, 0)) }, ...(bars ? series.toReversed() : series)],
      hooks: { draw: [(u) => quotaLine(u, chart.quota)] },
    };
  };

  // stamp is a time in UTC: on an axis as short as its place allows, in a legend whole.
  const stamp = (t, grain, points) => {
    const iso = new Date(t * 1e3).toISOString();
    if (grain === "day" && points) return new Date(t * 1e3).toLocaleDateString("en", { month: "short", day: "numeric", timeZone: "UTC" });
    if (grain === "day") return iso.slice(0, 10);
    return points ? iso.slice(11, 16) : iso.slice(0, 16).replace("T", " ");
  };

  const quotaLine = (u, quota) => {
    if (!quota) return;
    const y = Math.round(u.valToPos(quota, "y", true));
    const { ctx, bbox } = u;
    ctx.save();
    ctx.strokeStyle = color("--bar-bad");
    ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.fillStyle = color("--bad");
    ctx.font = `${12 * devicePixelRatio}px Inter, sans-serif`;
    ctx.textAlign = "right";
    ctx.fillText(`quota ${counted(quota)}`, bbox.left + bbox.width, y - 7 * devicePixelRatio);
    ctx.restore();
  };

  const drawChart = (element) => {
    const chart = JSON.parse(element.dataset.chart);
    const lines = chart.kind === "bars" ? stacked(chart.series).toReversed() : chart.series.map((l) => l.values);
    const height = element.classList.contains("chart-small") ? 150 : 260;
    drawn.get(element)?.destroy();
    drawn.set(element, new uPlot(optionsOf(chart, element.clientWidth, height), [chart.times, ...lines], element));
  };
  const sized = new ResizeObserver((entries) => entries.forEach(({ target }) => {
    const u = drawn.get(target);
    if (u && u.width !== target.clientWidth) u.setSize({ width: target.clientWidth, height: u.height });
  }));
  const findCharts = (within) => {
    if (!window.uPlot) return;
    drawn.forEach((u, element) => { if (!element.isConnected) { u.destroy(); drawn.delete(element); } });
    within.querySelectorAll("[data-chart]").forEach((element) => {
      if (drawn.has(element)) return;
      drawChart(element);
      sized.observe(element);
    });
  };
  function redrawCharts() {
    drawn.forEach((_, element) => drawChart(element));
  }

  // Live numbers: what changed comes as events, and is kept for parts that come later.
  const live = new Map(); // "item counter" -> value
  let events;
  const showLive = (within) => {
    within.querySelectorAll("[data-live]").forEach((element) => {
      const value = live.get(element.dataset.live);
      if (value === undefined || element.textContent === counted(value)) return;
      element.textContent = counted(value);
      element.classList.remove("flash");
      void element.offsetWidth; // so that it starts anew
      element.classList.add("flash");
      fill(element.closest("[data-gauge]"), value);
    });
  };
  const fill = (gauge, value) => {
    const meter = gauge?.querySelector("progress");
    if (!meter) return;
    const percent = Math.floor((value * 100) / meter.max);
    meter.value = value;
    meter.setAttribute("aria-label", `${gauge.dataset.gauge}: ${percent} % used`);
    meter.className = "meter meter-" + (percent < 80 ? "good" : value < meter.max ? "near" : "full");
    gauge.querySelector("[data-percent]").textContent = percent + " %";
  };
  const listen = () => {
    if (events || !document.querySelector("[data-live]")) return;
    events = new EventSource(new URL("api/v1/events", document.baseURI));
    events.addEventListener("change", (event) => {
      const change = JSON.parse(event.data);
      Object.entries(change.counts || {}).forEach(([name, value]) => live.set("counts " + name, value));
      Object.entries(change.items || {}).forEach(([item, usage]) => {
        Object.entries(usage).forEach(([name, value]) => live.set(item + " " + name, value));
      });
      showLive(document);
      if (change.state) showState(change.state);
    });
  };
  const showState = (state) => {
    const place = document.querySelector("[data-live-state] .state");
    const tones = { serving: ["good", "Serving devices"], "not serving": ["bad", "Not serving"], starting: ["near", "Starting"] };
    if (!place || !tones[state]) return;
    place.className = "state state-" + tones[state][0];
    if (place.textContent !== tones[state][1]) say((place.textContent = tones[state][1]));
  };

  // arrive looks through a part of a page that is new in place.
  const arrive = (within) => {
    findCharts(within);
    listen();
    showLive(within);
    const note = within.querySelector("#note .note-text");
    if (note) say(note.textContent.trim().replace(/\s+/g, " "));
    const count = within.matches?.("[data-say]") ? within : within.querySelector("[data-say]");
    if (count && within !== document) say(count.dataset.say);
    const wrong = within.querySelector("[aria-invalid=true], .refused");
    if (wrong) { wrong.focus(); wrong.scrollIntoView({ block: "center" }); }
  };
  document.addEventListener("DOMContentLoaded", () => arrive(document));
  document.addEventListener("htmx:afterSwap", () => unveil());
  document.addEventListener("htmx:load", (event) => { if (event.target !== document.body) arrive(event.target); });
  document.addEventListener("htmx:sendError", () => say("The server does not answer"));

  dark.addEventListener("change", showTheme);
  showTheme();
})();
