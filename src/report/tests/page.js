// What a test asks the browser about a page. Each function returns what is wrong.
function channel(value) {
  value /= 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}

function parts(color) {
  const found = color.match(/^rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)$/);
  if (!found) throw new Error('a color: ' + color);
  return [found[1], found[2], found[3], found[4] ?? 1].map(Number);
}

function luminance([red, green, blue]) {
  return 0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
}

function paper(element) {
  const svg = element.closest('svg');
  const rect = svg && svg.querySelector('.paper');
  if (rect) return parts(getComputedStyle(rect).fill);
  for (let one = element; one; one = one.parentElement) {
    const color = parts(getComputedStyle(one).backgroundColor);
    if (color[3] === 1) return color;
    if (color[3] !== 0) throw new Error('a color that shows through: ' + color);
  }
  return [255, 255, 255, 1];
}

function contrast() {
  const wrong = [];
  const texts = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const words = texts.currentNode.data.trim();
    if (!words || element.closest('head, style, script, title, desc')) continue;
    const style = getComputedStyle(element);
    const ink = parts(element.closest('svg') ? style.fill : style.color);
    const [low, high] = [luminance(ink), luminance(paper(element))].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5 || ink[3] !== 1) wrong.push(`contrast: ${ratio.toFixed(2)} of "${words.slice(0, 40)}"`);
  }
  return wrong;
}

function headings() {
  const levels = [...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map(one => Number(one.localName[1]));
  const wrong = [];
  if (levels.filter(level => level === 1).length !== 1) wrong.push('headings: not one h1');
  let last = 0;
  for (const level of levels) {
    if (level > last + 1) wrong.push(`headings: h${level} after h${last}`);
    last = level;
  }
  return wrong;
}

function looked() {
  const all = name => [...document.querySelectorAll(name)];
  const closed = all('details:not([open])');
  closed.forEach(one => { one.open = true; });
  const wrong = [];
  if (!document.documentElement.lang) wrong.push('language: none');
  if (!document.title.trim()) wrong.push('title: none');
  wrong.push(...headings());
  for (const cell of all('th')) {
    if (!['row', 'col', 'rowgroup', 'colgroup'].includes(cell.scope)) wrong.push('scope: ' + cell.textContent);
  }
  const ids = all('[id]').map(one => one.id);
  for (const id of new Set(ids.filter((one, index) => ids.indexOf(one) !== index))) wrong.push('id: ' + id);
  for (const one of all('[aria-labelledby]')) {
    for (const id of one.getAttribute('aria-labelledby').split(' ')) {
      if (!document.getElementById(id)) wrong.push('label: ' + id);
    }
  }
  if (document.scripts.length) wrong.push('scripts: ' + document.scripts.length);
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) wrong.push('width: ' + scrollWidth);
  wrong.push(...contrast());
  closed.forEach(one => { one.open = false; });
  return wrong;
}

function elements() {
  const counts = {};
  for (const one of document.querySelectorAll('*')) counts[one.localName] = (counts[one.localName] ?? 0) + 1;
  return counts;
}
