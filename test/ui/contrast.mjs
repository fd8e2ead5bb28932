// Runs in the page: what WCAG 2.2 asks of every text (1.4.3: 4.5, or 3 where it is large) and of every control (4.1.2: a name).

/** problems returns what is wrong with what is shown now. */
export function problems() {
  const found = [];
  const shown = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && e.getClientRects().length > 0;
  const rgb = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const over = (top, under) => ({ r: top.r * top.a + under.r * (1 - top.a), g: top.g * top.a + under.g * (1 - top.a), b: top.b * top.a + under.b * (1 - top.a), a: 1 });
  const luminance = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) layers.push(rgb(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), { r: 255, g: 255, b: 255, a: 1 });
  };
  const hidden = (e) => e.closest(".hidden, caption, .skip, option, canvas, noscript");
  for (const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT); walker.nextNode(); ) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || hidden(e) || !shown(e) || e.closest(":disabled")) continue;
    const style = getComputedStyle(e);
    const [a, b] = [luminance(over(rgb(style.color), behind(e))), luminance(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) found.push(`contrast ${ratio.toFixed(2)} of "${walker.currentNode.textContent.trim().slice(0, 40)}"`);
  }
  for (const e of document.querySelectorAll("a, button, input, select, summary, [tabindex='0'], [role=img], table, nav, img")) {
    if (!shown(e)) continue;
    const name = e.getAttribute("aria-label") ?? e.getAttribute("alt") ?? [...(e.labels ?? [])].map((l) => l.textContent).join(" ") + (e.caption?.textContent ?? "") + (e.matches("a, button, summary") ? e.textContent : "");
    if (!name.trim() && e.getAttribute("alt") !== "") found.push(`no name of <${e.tagName.toLowerCase()} class="${e.className}">`);
  }
  for (const [what, selector, least, most] of [["main", "main", 1, 1], ["h1", "h1", 1, 1], ["header", "body > header", 1, 1], ["page in the navigation", "nav [aria-current=page]", 1, 1], ["table without headings", "table:not(:has(th[scope=col]))", 0, 0]]) {
    const n = document.querySelectorAll(selector).length;
    if (n < least || n > most) found.push(`${n} of ${what}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  if (new Set(ids).size < ids.length) found.push(`an id is given twice: ${ids}`);
  if (document.documentElement.lang !== "en" || !document.title) found.push("no language or no title");
  if (document.documentElement.scrollWidth > innerWidth) found.push(`wider than the window by ${document.documentElement.scrollWidth - innerWidth}`);
  return found;
}
