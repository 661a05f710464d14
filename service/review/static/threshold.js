// What another threshold would change, counted in the browser while the slider moves.
"use strict";
{
  const data = JSON.parse(document.getElementById("scores").textContent);
  const scores = Float32Array.from(data.scores); // as the graph has them
  const byId = (id) => document.getElementById(id);
  const slider = byId("slider"), field = byId("save").elements.threshold;
  const table = document.querySelector("[data-of]");
  const language = document.documentElement.lang;
  const whole = new Intl.NumberFormat(language);
  const small = new Intl.NumberFormat(language, { maximumSignificantDigits: 2 });
  const precise = new Intl.NumberFormat(language, { maximumFractionDigits: 3 });
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const percent = (share) => fill(table.dataset.percent, { value: small.format(100 * share) });
  const tell = (name, text) => { table.querySelector(`[data-says="${name}"]`).textContent = text; };

  // The share of normal images that reach a threshold at most, by the scores of the calibration
  function promise(threshold) {
    if (!data.calibration.length) return null;
    const reached = data.calibration.filter((score) => Math.fround(score) >= Math.fround(threshold));
    return (1 + reached.length) / (data.calibration.length + 1);
  }

  // How many of the good ones are called anomalous, and of the defective ones normal
  function count(anomalous) {
    const found = { flagged: 0, good: 0, false: 0, defective: 0, missed: 0 };
    for (let i = 0; i < scores.length; i++) {
      const flagged = anomalous(i);
      found.flagged += flagged;
      if (data.really[i] === "g") { found.good++; found.false += flagged; }
      if (data.really[i] === "d") { found.defective++; found.missed += !flagged; }
    }
    return found;
  }

  function show(when, found, promised) {
    const of = (number, all) => fill(table.dataset.of, { number: whole.format(number), all: whole.format(all) });
    const share = scores.length ? ` (${percent(found.flagged / scores.length)})` : "";
    tell(`flagged-${when}`, whole.format(found.flagged) + share);
    tell(`false-${when}`, of(found.false, found.good));
    tell(`missed-${when}`, of(found.missed, found.defective));
    tell(`promise-${when}`, promised === null ? table.dataset.unknown : percent(promised));
  }

  let asked = null, late = null;
  async function showWhich(changed, summary) {
    byId("summary").textContent = summary;
    asked?.abort();
    asked = new AbortController();
    const ids = changed.slice(0, 12).map((i) => data.ids.slice(32 * i, 32 * i + 32));
    byId("which-title").hidden = !ids.length;
    if (!ids.length) return byId("which").replaceChildren();
    try {
      const answer = await fetch(`/review/threshold/tiles?ids=${ids}`, { signal: asked.signal });
      if (answer.ok && !answer.redirected) byId("which").innerHTML = await answer.text();
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    }
  }

  function look() {
    const threshold = Math.fround(field.valueAsNumber);
    if (Number.isNaN(threshold)) return;
    document.querySelector(".plot .then").setAttribute("x1", threshold);
    document.querySelector(".plot .then").setAttribute("x2", threshold);
    slider.setAttribute("aria-valuetext", precise.format(threshold));
    const now = (i) => data.now[i] === "a", then = (i) => scores[i] >= threshold;
    const promised = promise(threshold);
    show("now", count(now), data.rate ?? promise(data.threshold));
    show("then", count(then), promised);
    const leaves = promised !== null && data.trained !== null && promised > data.trained + 1e-9;
    byId("leaves").hidden = !leaves;
    if (leaves) byId("leaves").textContent = fill(byId("leaves").dataset.text, { promised: percent(promised), trained: percent(data.trained) });
    const changed = [...scores.keys()].filter((i) => now(i) !== then(i));
    changed.sort((a, b) => Math.abs(scores[a] - threshold) - Math.abs(scores[b] - threshold));
    const up = changed.filter(then).length;
    const values = { changed: changed.length, all: scores.length, up, down: changed.length - up };
    for (const name of Object.keys(values)) values[name] = whole.format(values[name]);
    const { text, none } = byId("summary").dataset;
    clearTimeout(late);
    late = setTimeout(showWhich, 250, changed, changed.length ? fill(text, values) : none);
  }

  slider.addEventListener("input", () => { field.value = slider.value; look(); });
  field.addEventListener("input", () => { slider.value = field.value; look(); });
  look();
}
