// Keys, what is remembered in this browser, and what is fetched after the page is shown.
"use strict";

const WRITING = "input:not([type=checkbox]), textarea, select";
let sent = false; // a key that is pressed twice must not judge the next picture unseen

function byKey(key) {
  return document.querySelector(`[data-key="${CSS.escape(key.toLowerCase())}"]`);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if (event.target.matches(WRITING)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const found = (event.shiftKey && byKey(`shift+${event.key}`)) || byKey(event.key);
  if (!found || found.disabled) return;
  event.preventDefault();
  if (found.matches(WRITING)) found.focus();
  else if (!sent) found.click();
});

document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (sent) event.preventDefault();
  sent = true;
});
document.addEventListener("click", (event) => {
  if (event.target.closest("a[data-key]")) sent = true;
});
window.addEventListener("pageshow", () => { sent = false; });

for (const field of document.querySelectorAll("[data-send]")) {
  field.addEventListener("change", () => field.form.requestSubmit());
}

for (const box of document.querySelectorAll("[data-keep]")) {
  const kept = localStorage.getItem(box.dataset.keep);
  if (kept !== null) box.checked = kept === "true";
  box.addEventListener("change", () => localStorage.setItem(box.dataset.keep, box.checked));
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.addEventListener("click", () => window.print());
}

// Times are told by the clock of this browser, from the second page on: so this one is told again
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const told = encodeURIComponent(zone ?? "");
if (zone && !document.cookie.split("; ").includes(`onegauge_zone=${told}`)) {
  document.cookie = `onegauge_zone=${told}; path=/review; max-age=31536000; samesite=strict`;
  if (document.cookie.includes(`onegauge_zone=${told}`) && document.querySelector("time")) location.reload();
}

async function compare(section) {
  const answer = await fetch(section.dataset.src, { headers: { Accept: "text/html" } });
  if (answer.ok && !answer.redirected) section.innerHTML = await answer.text();
}
for (const section of document.querySelectorAll("[data-src]")) compare(section);

// The line view: the newest pictures as they come, and the figures every half minute
const live = document.querySelector("[data-live]");
if (live) {
  new EventSource(live.dataset.live).addEventListener("inspection", (event) => {
    const item = new DOMParser().parseFromString(event.data, "text/html").querySelector("li");
    const list = [...live.querySelectorAll("[data-line]")].find((one) => one.dataset.line === item.dataset.of);
    list?.prepend(item);
    while (list && list.children.length > Number(live.dataset.most)) list.lastElementChild.remove();
  });
  setInterval(async () => {
    const answer = await fetch(location.href);
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const now of live.querySelectorAll("[data-fresh]")) {
      const other = [...fresh.querySelectorAll("[data-fresh]")].find((one) => one.dataset.fresh === now.dataset.fresh);
      if (other) now.replaceWith(other);
    }
  }, 30000);
}

// What takes a while is looked at again
const again = document.querySelector("[data-again]");
if (again) setTimeout(() => location.reload(), 1000 * Number(again.dataset.again));

const ahead = document.getElementById("ahead");
if (ahead) new Image().src = ahead.dataset.picture;

document.querySelector(".list [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
