// The theme resolves "auto" only when all of the page is there: code, whose colours and borders
// hang on the scheme, would be drawn twice, and what is below it would move.
const scheme = document.documentElement.dataset;
if (scheme.theme === "auto") {
  scheme.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

// From a folder no page may read another, so there search shows titles, without excerpts.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// What scrolls sideways can be reached, and then moved, by keyboard; the theme does it for code.
const reachable = () =>
  document.querySelectorAll(".bd-article :is(table, .gg-pictures)").forEach((wide) => {
    if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
    else wide.removeAttribute("tabindex");
  });

// And it says so: what is cut off at an edge fades out there (gammagpt.css).
const SCROLLS = ".bd-article :is(table, pre, .gg-pictures, mjx-container[display])";
const fade = (wide) => {
  const left = wide.scrollLeft, beyond = wide.scrollWidth - wide.clientWidth;
  wide.classList.toggle("gg-more-left", left > 1);
  wide.classList.toggle("gg-more-right", beyond - left > 1);
};
const look = () => {
  reachable();
  document.querySelectorAll(SCROLLS).forEach(fade);
};
addEventListener("load", () => {
  look();
  window.MathJax?.startup?.promise?.then(look);
});
addEventListener("resize", look);
addEventListener("click", () => setTimeout(look)); // what was folded has a width now
addEventListener("scroll", ({ target }) => target.matches?.(SCROLLS) && fade(target), true);

// An excerpt of the search is prose: no code, no list of the page's headings, no TeX.
const LETTERS = { gamma: "γ", lambda: "λ", sigma: "σ", eta: "η", varepsilon: "ε", Delta: "Δ",
  cdot: "·", times: "×", sim: "~" };
const plain = (tex) => tex.replace(/\\[()[\]]/g, "")
  .replace(/\\([a-zA-Z]+)/g, (_, name) => LETTERS[name] ?? "").replace(/[{}]|\^(?=.)/g, "");
addEventListener("DOMContentLoaded", () => {
  if (typeof Search === "undefined") return;
  Search.htmlToText = (text) => {
    const article = new DOMParser().parseFromString(text, "text/html").querySelector("article");
    article?.querySelectorAll(".cell_input, .headerlink, #jb-print-toc, nav, style, script, "
      + "div.math, figure details, summary").forEach((part) => part.remove());
    article?.querySelectorAll(".math").forEach((math) => {
      math.textContent = plain(math.textContent);
    });
    return article?.textContent ?? "";
  };
});
