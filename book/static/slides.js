/* Shows a deck a slide at a time: keys, a swipe, and the slide's number in the address. */
"use strict";

(() => {
  const slides = [...document.querySelectorAll("main > section")];
  const place = document.querySelector(".place span"), { classList } = document.documentElement;
  let at = 0, from = 0;

  function show(number) {
    at = Math.min(Math.max(number, 0), slides.length - 1);
    slides.forEach((slide, i) => { slide.hidden = i !== at; });
    place.textContent = `${at + 1} of ${slides.length}`;
    history.replaceState(null, "", `#${at + 1}`);
    scrollTo(0, 0);
  }
  const asked = () => show((parseInt(location.hash.slice(1), 10) || 1) - 1);

  const keys = { ArrowRight: 1, PageDown: 1, " ": 1, ArrowLeft: -1, PageUp: -1 };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (keys[event.key]) { event.preventDefault(); show(at + keys[event.key]); }
    if (event.key === "Home") show(0);
    if (event.key === "End") show(slides.length - 1);
    if (event.key === "n") classList.toggle("noted");
    if (event.key === "p") print();
  });
  addEventListener("touchstart", ({ touches }) => { from = touches[0].clientX; });
  addEventListener("touchend", ({ changedTouches }) => {
    const moved = changedTouches[0].clientX - from;
    if (Math.abs(moved) > 60) show(at - Math.sign(moved));
  });
  addEventListener("hashchange", asked);
  classList.add("one");
  asked();
})();
