/* Between require.js and the widgets: their fonts lie beside this file, else they are looked for beside the page. */
(() => {
  const here = new URL(".", document.currentScript.src).href;
  window.__jupyter_widgets_assets_path__ = here;
  requirejs.config({ paths: { "@jupyter-widgets/html-manager/dist": here.replace(/\/$/, "") } });
})();
