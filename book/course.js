/* What the theme and Jupyter's widgets leave undone on a page. Loaded by every page; works from a folder as well. */
(() => {
  const name = (element, text) => {
    if (element && text && !element.hasAttribute("aria-label")) element.setAttribute("aria-label", text.trim());
  };

  const mend = () => {
    for (const summary of document.querySelectorAll("li > details > summary")) {  // arrows of the contents
      const link = summary.closest("li").querySelector(":scope > a");
      name(summary, link && `Pages of ${link.textContent}`);
    }
    for (const figure of document.querySelectorAll("article figure")) {  // one that scrolls is reached with the keyboard
      if (figure.scrollWidth > figure.clientWidth) {
        figure.tabIndex = 0;
        figure.setAttribute("role", "group");
        name(figure, "Figure, wider than the screen");
      }
    }
    for (const handle of document.querySelectorAll(".noUi-handle")) {  // sliders
      name(handle, handle.closest(".jupyter-widgets")?.querySelector(".widget-label")?.textContent);
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    // The widgets ask MathJax in the words of its version 2; the book has version 3.
    if (window.MathJax?.typesetPromise && !MathJax.Hub) {
      MathJax.Hub = { Queue: ([, , element]) => MathJax.startup.promise.then(() => MathJax.typesetPromise([element])) };
    } else if (window.MathJax && !MathJax.Hub) {
      MathJax.Hub = { Queue: () => {} };
    }
    mend();
    const widgets = document.querySelector('script[type="application/vnd.jupyter.widget-view+json"]');
    if (widgets) new MutationObserver(mend).observe(document.querySelector("main"), { childList: true, subtree: true });
  });
})();
