"use strict";

// The colours of figures are those of the page; each style of a chart has one.
function config() {
  const styles = getComputedStyle(document.documentElement);
  const color = name => styles.getPropertyValue(name).trim();
  const [ink, soft, line, card] = ["--ink", "--soft", "--line", "--card"].map(color);
  const [main, faint, step, reference] =
    ["--main", "--faint", "--step", "--reference"].map(color);
  const font = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif";
  const interval = own => ({ color: own ? main : soft, strokeWidth: own ? 3 : 2 });
  const score = own => ({
    shape: own ? "diamond" : "circle", filled: true, color: own ? main : soft, opacity: 1,
    size: own ? 150 : 80 });
  return {
    background: "transparent", font,
    view: { stroke: null },
    axis: {
      labelColor: soft, titleColor: ink, gridColor: line, domainColor: line, tickColor: line,
      gridOpacity: 0.6, labelFontSize: 12, titleFontSize: 12.5, titleFontWeight: 500,
      titlePadding: 10 },
    style: {
      main: { color: main, strokeWidth: 2.4 },
      faint: { color: faint, strokeWidth: 0.9 },
      dot: { color: main, filled: true, size: 26, opacity: 0.9 },
      step: { color: step, filled: true, size: 300, opacity: 1 },
      step_number: { color: card, fontSize: 12, fontWeight: 700 },
      reference: { color: reference, strokeDash: [6, 4], strokeWidth: 1.3 },
      reference_name: { color: reference, align: "right", baseline: "bottom", dy: -3, fontSize: 11.5 },
      interval_own: interval(true), interval_other: interval(false),
      score_own: score(true), score_other: score(false),
      name_own: { color: main, align: "left", dy: -10, fontSize: 12.5, fontWeight: 600 },
      name_other: { color: ink, align: "left", dy: -10, fontSize: 12.5 },
      mechanism: { color: main, cornerRadiusEnd: 3 },
      instruction: { color: faint, cornerRadiusEnd: 3 },
      error: { color: ink, strokeWidth: 1.4 },
      name_mechanism: { color: main, align: "left", dy: -10, fontSize: 12.5, fontWeight: 600 },
      name_instruction: {
        color: ink, align: "left", dy: -10, fontSize: 12, font: "ui-monospace, monospace" },
      sample: { color: main, filled: true, opacity: 0.55, size: 30 },
    },
  };
}

async function draw() {
  for (const figure of document.querySelectorAll("figure[id]")) {
    const plot = figure.querySelector(".plot");
    const chart = JSON.parse(figure.querySelector("script").textContent);
    await vegaEmbed(plot, chart, { actions: false, renderer: "svg", config: config() });
    figure.dataset.drawn = "yes";
  }
}

function fillContents() {
  const list = document.querySelector("nav ul");
  for (const section of document.querySelectorAll("main > section")) {
    const link = document.createElement("a");
    link.href = `#${section.id}`;
    link.textContent = section.querySelector("h2").textContent;
    list.append(document.createElement("li"));
    list.lastChild.append(link);
  }
}

fillContents();
draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
