"""Scripts that inspect a page in a browser."""

# Elements below the contrast of WCAG 2.1, level AA: 4.5 to 1 for text, 3 to 1 for lines.
POOR_CONTRAST = """
// A mixed colour has parts from 0 to 1, others from 0 to 255; the opacity is from 0 to 1 in both.
const parse = text => {
  const whole = text.startsWith("color(") ? 255 : 1;
  return text.match(/[\\d.]+/g).map((part, index) => index < 3 ? part * whole : Number(part));
};
const linear = part => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4;
const luminance = ([r, g, b]) => .2126 * linear(r / 255) + .7152 * linear(g / 255) + .0722 * linear(b / 255);
const ground = element => {
  const [r, g, b, alpha = 1] = parse(getComputedStyle(element).backgroundColor);
  return alpha > 0 ? [r, g, b] : ground(element.parentElement);
};
const contrast = (colour, element) => {
  const [light, dark] = [parse(colour), ground(element)].map(luminance).sort((a, b) => b - a);
  return (light + .05) / (dark + .05);
};
const words = [...document.body.querySelectorAll("*")].filter(element => element.checkVisibility() &&
  element.localName !== "title" && [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim()));
const ink = element => getComputedStyle(element)[element instanceof SVGElement ? "fill" : "color"];
const poor = words.filter(element => contrast(ink(element), element) < 4.5);
const lines = [...document.querySelectorAll(".key .line")];
const faint = lines.filter(line => contrast(getComputedStyle(line).stroke, line) < 3);
return [words.length > 50, lines.length > 0, ...[...poor, ...faint].map(element => element.outerHTML.slice(0, 200))];
"""
