"""What is wrong with how a page looks: measured in the page, and by axe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

__all__ = ["faults_of"]

Scheme = Literal["light", "dark"]

HEIGHT = 800
AXE = Axe()
RUN = "([within, options]) => axe.run(within, options)"

TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
EVERY_RULE = {"type": "tag", "values": TAGS}
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
"""The rules that the colour scheme can break; the rest of the page is the same in both."""

LOOKS: tuple[tuple[int, Scheme, dict[str, Any] | None], ...] = (
    (360, "light", EVERY_RULE),
    (360, "dark", None),
    (1600, "dark", None),
    (1600, "light", None),
    (1280, "light", EVERY_RULE),
    (1280, "dark", COLOURS),
)
"""Widths and colour schemes to look at a page in, and the rules that axe holds it against then."""

# Wider than the page, cut off, or too small to be hit.
MISFITS = """() => {
  const UNSEEN = 'inset(50%)';  // for those who listen
  const shown = each => each.checkVisibility({visibilityProperty: true})
    && !each.closest('.hidden, .skip') && getComputedStyle(each).clipPath !== UNSEEN;
  const scrolls = each => ['auto', 'scroll'].includes(getComputedStyle(each).overflowX);
  const name = each => each.outerHTML.slice(0, 150);
  const inScroller = each => {
    for (let at = each.parentElement; at; at = at.parentElement) if (scrolls(at)) return true;
    return false;
  };
  const root = document.scrollingElement, found = [];
  if (root.scrollWidth > root.clientWidth) {
    found.push(`the page is ${root.scrollWidth} px wide in ${root.clientWidth}`);
  }
  for (const each of document.body.querySelectorAll('*')) {
    if (!shown(each)) continue;
    const box = each.getBoundingClientRect(), style = getComputedStyle(each);
    if (!inScroller(each) && (box.right > root.clientWidth + 1 || box.left < -1)) {
      found.push(`beyond the edge: ${name(each)}`);
    }
    const clips = !each.matches('input, select') && style.textOverflow !== 'ellipsis'
      && ['hidden', 'clip'].includes(style.overflowX);
    if (clips && each.scrollWidth > each.clientWidth + 1) found.push(`cut off: ${name(each)}`);
    const isTarget = each.matches('button, .button, summary, select, input:not([type=hidden])');
    // What has a label of its own is as large as both together.
    const sizes = [box, ...[...(each.labels || [])].map(label => label.getBoundingClientRect())];
    if (isTarget && Math.max(...sizes.map(size => Math.min(size.width, size.height))) < 24) {
      found.push(`smaller than 24 px: ${name(each)}`);
    }
  }
  return found;
}"""


def faults_of(page: Page, within: str = "html") -> Iterator[str]:
    """Yield what is wrong with a page in each of `LOOKS`; axe looks at the part `within` alone."""
    page.evaluate(AXE.axe_script)  # once: reading it takes as long as what it does
    for width, scheme, rules in LOOKS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        wrong: list[str] = page.evaluate(MISFITS)
        if rules is not None:
            wrong += violations(page, within, rules)
        yield from (f"{width} {scheme}: {each}" for each in wrong)


def violations(page: Page, within: str, rules: dict[str, Any]) -> Iterator[str]:
    """Yield what axe finds against `rules`, each with the first elements that break one."""
    options = {"runOnly": rules, "resultTypes": ["violations"], "preload": False}
    for each in page.evaluate(RUN, [within, options])["violations"]:
        nodes = [f"{node['html'][:150]} {node['failureSummary']}" for node in each["nodes"][:3]]
        yield f"{each['id']}: {each['help']} ({len(each['nodes'])}) {nodes}"
