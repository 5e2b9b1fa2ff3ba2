// The theme resolves "auto" only when all of the page is there: code, whose colours and borders
// hang on the scheme, would be drawn twice, and what is below it would move.
const scheme = document.documentElement.dataset;
if (scheme.theme === "auto") {
  scheme.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

// From a folder no page may read another, so there search shows titles, without excerpts.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// What scrolls sideways can be reached, and then moved, by keyboard; the theme does it for code.
const reachable = () => document.querySelectorAll(".bd-article table").forEach((table) => {
  if (table.scrollWidth > table.clientWidth) table.tabIndex = 0;
  else table.removeAttribute("tabindex");
});
addEventListener("load", reachable);
addEventListener("resize", reachable);
