(() => {
  "use strict";
  const root = document.documentElement;
  const { palette, figures } = JSON.parse(document.getElementById("payload").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const tip = document.getElementById("tip");
  const views = new Map();
  const widths = new Map();
  let printing = false;

  const theme = () => (printing ? "light" : root.dataset.theme || (dark.matches ? "dark" : "light"));
  const colour = (name) => palette[name][theme() === "dark" ? 1 : 0];

  // ---- tooltips: text only, whatever a layer or a file is called
  function hideTip() {
    tip.hidden = true;
  }
  function written(value, kind) {
    if (value === null || value === undefined) return "–";
    if (kind === "text") return typeof value === "number" ? String(value).replace("-", "−") : value;
    const [scaled, places] = kind === "percent" ? [100 * value, 2] : [value, 4];
    if (kind === "percent" && Math.abs(value) < 1e-9) return "0.00 %";
    const small = scaled !== 0 && Math.abs(scaled) < 0.5 * 10 ** -places;
    return (small ? scaled.toExponential(1) : scaled.toFixed(places)) + (kind === "percent" ? " %" : "");
  }
  function showTip(figure, event, row) {
    const list = document.createElement("dl");
    for (const [label, column, kind] of figure.tips) {
      const term = document.createElement("dt");
      const fact = document.createElement("dd");
      term.textContent = label;
      fact.textContent = written(row[column], kind);
      if (column === "low" && row.low !== null) {
        fact.textContent = `${fact.textContent.replace(" %", "")} – ${written(row.high, kind)}`;
      }
      list.append(term, fact);
    }
    tip.replaceChildren(list);
    tip.hidden = false;
    const { clientWidth: wide, clientHeight: high } = root;
    const box = tip.getBoundingClientRect();
    const right = event.clientX + 16;
    const below = event.clientY + 16;
    const left = right + box.width + 8 > wide ? event.clientX - box.width - 16 : right;
    tip.style.left = `${Math.max(8, Math.min(left, wide - box.width - 8))}px`;
    tip.style.top = `${below + box.height + 8 > high ? Math.max(8, event.clientY - box.height - 16) : below}px`;
  }
  addEventListener("scroll", hideTip, { passive: true });
  addEventListener("keydown", (event) => event.key === "Escape" && hideTip());

  // ---- charts
  const AXES = 72; // pixels beside the plotting area of a map: the axis, its title and the padding
  function size(figure, element) {
    const width = Math.max(200, Math.floor(element.clientWidth));
    return { width, height: figure.aspect ? Math.round(figure.aspect * (width - AXES)) : figure.height };
  }
  function rows(columns) {
    const names = Object.keys(columns);
    return columns[names[0]].map((_, i) => Object.fromEntries(names.map((name) => [name, columns[name][i]])));
  }
  async function draw(figure) {
    const element = document.getElementById(figure.id);
    const datasets = { ...figure.spec.datasets, rows: rows(figure.columns) };
    const spec = { ...figure.spec, ...size(figure, element), datasets };
    for (const parameter of spec.params) if (parameter.name in palette) parameter.value = colour(parameter.name);
    try {
      const { view } = await window.vegaEmbed(element, spec, {
        mode: "vega-lite",
        ast: true,
        actions: false,
        defaultStyle: false,
        renderer: figure.renderer,
        tooltip: (_, event, item, row) => (row ? showTip(figure, event, row) : hideTip()),
      });
      views.set(figure, view);
      widths.set(figure, spec.width);
      element.dataset.drawn = theme();
    } catch (error) {
      element.classList.add("failed");
      element.textContent = `This chart could not be drawn: ${error.message}`;
      throw error;
    }
  }
  function paint() {
    for (const [figure, view] of views) {
      for (const name of Object.keys(palette)) view.signal(name, colour(name));
      view.run();
      document.getElementById(figure.id).dataset.drawn = theme();
    }
  }
  function fit() {
    for (const [figure, view] of views) {
      const { width, height } = size(figure, document.getElementById(figure.id));
      if (widths.get(figure) !== width) view.width(width).height(height).run();
      widths.set(figure, width);
    }
  }
  if (window.vegaEmbed) {
    Promise.all(figures.map(draw)).then(() => {
      root.dataset.ready = "true";
      fit();
      let last = root.clientWidth;
      addEventListener("resize", () => {
        if (root.clientWidth !== last) fit();
        last = root.clientWidth;
      });
    });
  } else {
    root.dataset.ready = "true";
  }

  // ---- theme
  const button = document.getElementById("theme");
  function label() {
    const other = theme() === "dark" ? "light" : "dark";
    button.textContent = other === "dark" ? "Dark" : "Light";
    button.setAttribute("aria-label", `Switch to the ${other} theme`);
  }
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = theme() === "dark" ? "light" : "dark";
    label();
    paint();
  });
  dark.addEventListener("change", () => {
    label();
    paint();
  });
  addEventListener("beforeprint", () => {
    printing = true;
    paint();
    fit();
  });
  addEventListener("afterprint", () => {
    printing = false;
    paint();
    fit();
  });
  label();
})();
