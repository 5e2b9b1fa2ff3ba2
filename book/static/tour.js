/* A guided tour: a list of stops in the page, one at a time. A stop sets something first (data-set, as
   in an address), says where to look (data-look, a selector), and waits for the reader. At which stop
   one is stands in the address of the page (#tour=2) and nowhere else. Without this script the list is
   there to be read. A page whose settings are in its address (data-way="address") gets them there. */
"use strict";

(() => {
  const tour = document.querySelector(".tour");
  if (!tour) return;
  const list = tour.querySelector("ol"), stops = [...list.children];
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const address = () => new URLSearchParams(location.hash.slice(1));
  let at = 0; // the stop, counted from 1; 0: not on the way

  function make(name, attributes, ...children) {
    const made = Object.assign(document.createElement(name), attributes);
    made.append(...children);
    return made;
  }
  const button = (words, act) => make("button", { type: "button", onclick: act }, words);

  const words = make("p", {});
  const [back, next] = [button("Back", () => go(at - 1)), button("Next", () => go(at + 1))];
  const box = make("section", { className: "tour-box", hidden: true }, words,
    make("div", {}, back, next, button("Leave the tour", () => go(0))));
  const open = button(`Take the tour: ${stops.length} stops`, () => go(1));
  words.setAttribute("aria-live", "polite");
  box.setAttribute("aria-label", "Guided tour");
  tour.append(open, box);

  /** To a stop; to 0, or beyond the last, is to leave. */
  function go(stop) {
    const before = at;
    at = stop > stops.length ? 0 : stop;
    document.querySelectorAll(".tour-look").forEach((seen) => seen.classList.remove("tour-look"));
    box.hidden = !at;
    open.hidden = !!at;
    remember({ tour: at || null }); // first: a stop's settings are announced as a new address
    if (at) show(stops[at - 1]);
    else if (before) open.focus();
    if (at && !before) next.focus();
  }

  function show(stop) {
    const name = make("strong", {}, `${at} of ${stops.length}. `);
    words.replaceChildren(name, ...[...stop.cloneNode(true).childNodes]);
    back.disabled = at === 1;
    next.textContent = at === stops.length ? "Done" : "Next";
    if (document.activeElement === document.body) next.focus(); // Back has just been switched off
    set(new URLSearchParams(stop.dataset.set));
    const seen = document.querySelector(stop.dataset.look);
    seen.classList.add("tour-look");
    seen.scrollIntoView({ block: "start", behavior: still.matches ? "auto" : "smooth" });
  }

  /** What a stop wants to be set: in the address, or in the fields of these names. */
  function set(wanted) {
    if (tour.dataset.way === "address") {
      remember(Object.fromEntries(wanted));
      dispatchEvent(new HashChangeEvent("hashchange"));
      return;
    }
    const { elements } = document.querySelector(tour.dataset.form);
    for (const [name, value] of wanted) {
      if (elements[name].value === value) continue;
      elements[name].value = value;
      elements[name].dispatchEvent(new Event("input", { bubbles: true }));
    }
  }

  function remember(what) {
    const place = address();
    for (const [name, value] of Object.entries(what)) {
      if (value === null) place.delete(name); else place.set(name, value);
    }
    history.replaceState(null, "", `#${place}`);
  }

  function follow() {
    const asked = Math.trunc(address().get("tour"));
    if (asked !== at && asked >= 0 && asked <= stops.length) go(asked);
  }

  addEventListener("hashchange", follow);
  addEventListener("keydown", ({ key }) => { if (key === "Escape" && at) go(0); });
  addEventListener("load", follow);
})();
