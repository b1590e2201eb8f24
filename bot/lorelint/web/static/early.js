// Before anything is drawn: light or dark, where somebody has chosen.
(function () {
  "use strict";
  document.documentElement.classList.add("script");
  try {
    var chosen = localStorage.getItem("theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch (error) { /* storage may be closed: then it is as the system has it */ }
})();
