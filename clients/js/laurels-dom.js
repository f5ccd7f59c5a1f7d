// Builds elements: text always becomes text nodes, so no name or score can become markup.

const SVG = "http://www.w3.org/2000/svg";

/** Create an element with attributes and children; null or false ones are left out. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Create an SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Create text for screen readers only. */
export function spoken(text) {
  return el("span", { class: "spoken" }, text);
}

/** Create the laurel wreath in the size of its class. */
export function wreath(className) {
  return svg("svg", { class: className, viewBox: "0 0 64 64", "aria-hidden": "true", focusable: "false" }, svg("path", { d: WREATH }));
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const WREATH =
  "M31.3 53.1A20.9 20.9 0 0 1 20.6 14.3A22.1 22.1 0 0 0 31.2 54.9ZM24.5 52.2C22.7 57.1 17 58.4 12.5 56.1 15 52.2 20.4 49.9 24.5 52.2ZM21.1 51.3C17.3 50.6 15.3 46.7 16 43.1 19.3 44.3 21.8 47.8 21.1 51.3ZM17.4 47.8C14 51.4 8.6 50.4 5.4 46.8 9.1 44.3 14.6 44.2 17.4 47.8ZM14.6 45.6C11.5 43.6 11.3 39.4 13.2 36.5 15.6 38.8 16.6 42.8 14.6 45.6ZM12.7 41C8.3 42.8 3.9 40 2.4 35.6 6.6 34.8 11.5 36.8 12.7 41ZM10.9 37.9C8.9 34.9 10.2 31.2 13 29.3 14.3 32.2 13.7 36.1 10.9 37.9ZM10.9 32.8C6.4 32.8 3.5 28.7 3.9 24.4 7.9 25.1 11.4 28.7 10.9 32.8ZM10.5 29.3C9.9 25.9 12.4 23.1 15.5 22.6 15.6 25.5 13.6 28.7 10.5 29.3ZM12.4 24.6C8.5 22.9 7.5 18.3 9.4 14.6 12.6 16.7 14.4 21.1 12.4 24.6ZM13.4 21.2C14.1 18 17.4 16.5 20.3 17.1 19.3 19.8 16.4 21.8 13.4 21.2ZM17 17.6C14.2 14.7 15 10.3 18 7.8 20 10.8 20 15.3 17 17.6ZM19.8 14.8C20.3 11.1 24 8.8 27.6 9.2 26.6 12.4 23.3 15.3 19.8 14.8ZM32.7 53.1A20.9 20.9 0 0 0 43.4 14.3A22.1 22.1 0 0 1 32.8 54.9ZM39.5 52.2C41.3 57.1 47 58.4 51.5 56.1 49 52.2 43.6 49.9 39.5 52.2ZM42.9 51.3C46.7 50.6 48.7 46.7 48 43.1 44.7 44.3 42.2 47.8 42.9 51.3ZM46.6 47.8C50 51.4 55.4 50.4 58.6 46.8 54.9 44.3 49.4 44.2 46.6 47.8ZM49.4 45.6C52.5 43.6 52.7 39.4 50.8 36.5 48.4 38.8 47.4 42.8 49.4 45.6ZM51.3 41C55.7 42.8 60.1 40 61.6 35.6 57.4 34.8 52.5 36.8 51.3 41ZM53.1 37.9C55.1 34.9 53.8 31.2 51 29.3 49.7 32.2 50.3 36.1 53.1 37.9ZM53.1 32.8C57.6 32.8 60.5 28.7 60.1 24.4 56.1 25.1 52.6 28.7 53.1 32.8ZM53.5 29.3C54.1 25.9 51.6 23.1 48.5 22.6 48.4 25.5 50.4 28.7 53.5 29.3ZM51.6 24.6C55.5 22.9 56.5 18.3 54.6 14.6 51.4 16.7 49.6 21.1 51.6 24.6ZM50.6 21.2C49.9 18 46.6 16.5 43.7 17.1 44.7 19.8 47.6 21.8 50.6 21.2ZM47 17.6C49.8 14.7 49 10.3 46 7.8 44 10.8 44 15.3 47 17.6ZM44.2 14.8C43.7 11.1 40 8.8 36.4 9.2 37.4 12.4 40.7 15.3 44.2 14.8ZM31 53L37.8 59.6L36.2 61.2L29.8 54.6ZM33 53L34.2 54.6L27.8 61.2L26.2 59.6Z";
