// Every visible text of the page with its contrast to what lies behind it, as WCAG 2 defines both.
function colour(text) {
  const found = text.match(/[0-9.]+/g).map(Number);
  return found.length > 3 ? found : [...found, 1];
}
function over(top, below) {
  return [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
}
function luminance(c) {
  const [r, g, b] = c.slice(0, 3).map(x => x / 255).map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}
function behind(element) {
  for (let e = element; e; e = e.parentElement) {
    const c = colour(getComputedStyle(e).backgroundColor);
    if (c[3] > 0) { return over(c, [255, 255, 255, 1]); }
  }
  return [255, 255, 255, 1];
}
function drawnBehind(text) {
  const box = text.getBoundingClientRect();
  const below = document.elementsFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  const svg = text.closest("svg");
  for (const e of below) {
    if (e === svg || !svg.contains(e)) { break; }
    const style = getComputedStyle(e);
    if (text.contains(e) || e.tagName === "text" || !style.fill.startsWith("rgb")) { continue; }
    const c = colour(style.fill);
    return over([c[0], c[1], c[2], c[3] * style.fillOpacity * style.opacity], behind(svg));
  }
  return behind(svg);
}
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement, text = walker.currentNode.textContent.trim();
  if (!text || element.closest("script, style, title") || !element.getClientRects().length) { continue; }
  const inFigure = element.closest("svg text");
  const style = getComputedStyle(element);
  const ink = colour(inFigure ? style.fill : style.color), ground = inFigure ? drawnBehind(inFigure) : behind(element);
  found.push([contrast(over(ink, ground), ground), text.slice(0, 40), element.tagName]);
}
return found;
