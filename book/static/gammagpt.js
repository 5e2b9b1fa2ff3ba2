// From a folder no page may read another, so there search shows titles, without excerpts.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// What scrolls sideways can be reached, and then moved, by keyboard; the theme does it for code.
const reachable = () => document.querySelectorAll(".bd-article table").forEach((table) => {
  if (table.scrollWidth > table.clientWidth) table.tabIndex = 0;
  else table.removeAttribute("tabindex");
});
addEventListener("load", reachable);
addEventListener("resize", reachable);
