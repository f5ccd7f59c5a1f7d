// Builds elements: text always goes in as text nodes, so no name or score can become markup.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element with attributes and children; a null or false attribute or child is left out. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The laurel wreath drawn once in the page (`#wreath-shape`), used again at any size. */
export function wreath(className) {
  const use = fill(document.createElementNS(SVG, "use"), { href: "#wreath-shape" }, []);
  const attributes = { class: className, viewBox: "0 0 64 64", "aria-hidden": "true", focusable: "false" };
  return fill(document.createElementNS(SVG, "svg"), attributes, [use]);
}

/** Text for ears only. */
export function spoken(text) {
  return el("span", { class: "spoken" }, text);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}
