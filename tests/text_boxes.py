"""Which visible texts of a heatmap overlap, computed in the page."""

OVERLAPS = r"""(root) => {
    const boxes = [];
    const corners = ({ left, top, right, bottom }) => [[left, top], [right, top], [right, bottom], [left, bottom]];
    // the part of a box that its scrolling or hiding ancestors leave, or nothing
    const seen = (box, from) => {
        if (!from.checkVisibility()) return undefined;
        let { left, top, right, bottom } = box;
        for (let one = from; one && one !== root.parentElement; one = one.parentElement) {
            const style = getComputedStyle(one);
            if (style.visibility === "hidden" || style.display === "none" || style.opacity === "0") return undefined;
            if (style.clipPath !== "none") return undefined;
            if (style.overflowX === "visible" && style.overflowY === "visible") continue;
            const clip = one.getBoundingClientRect();
            [left, top] = [Math.max(left, clip.left), Math.max(top, clip.top)];
            [right, bottom] = [Math.min(right, clip.right), Math.min(bottom, clip.bottom)];
        }
        return right - left > 1 && bottom - top > 1 ? { left, top, right, bottom } : undefined;
    };
    for (const text of root.querySelectorAll("svg text")) {
        if (!text.textContent.trim() || !text.getClientRects().length) continue;
        const { x, y, width, height } = text.getBBox();
        const matrix = text.getScreenCTM();
        const at = (px, py) => { const p = new DOMPoint(px, py).matrixTransform(matrix); return [p.x, p.y]; };
        const title = text.querySelector("title")?.textContent ?? "";
        const quad = [at(x, y), at(x + width, y), at(x + width, y + height), at(x, y + height)];
        const outer = text.getBoundingClientRect();
        const left = seen(outer, text.closest("svg").parentElement);
        if (left) boxes.push({ text: text.textContent.slice(0, text.textContent.length - title.length), quad });
    }
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const parent = node.parentElement;
        if (!node.textContent.trim() || parent.closest("svg, datalist, select, .reader, style, script")) continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        for (const rect of range.getClientRects()) {
            const box = seen(rect, parent);
            if (box) boxes.push({ text: node.textContent, quad: corners(box), line: true, node });
        }
    }
    for (const field of root.querySelectorAll("input:not([type=checkbox]), select")) {
        const box = seen(field.getBoundingClientRect(), field.parentElement);
        if (box) boxes.push({ text: field.getAttribute("aria-label") ?? field.className, quad: corners(box) });
    }
    // separating axes; boxes that only touch do not overlap
    const apart = (a, b) => [a, b].some((quad) => [0, 1].some((k) => {
        const [[x0, y0], [x1, y1]] = [quad[k], quad[k + 1]];
        const length = Math.hypot(x1 - x0, y1 - y0) || 1;
        const [nx, ny] = [(x1 - x0) / length, (y1 - y0) / length];
        const spread = (points) => points.map(([x, y]) => x * nx + y * ny);
        const [one, other] = [spread(a), spread(b)];
        return Math.max(...one) <= Math.min(...other) + 0.6 || Math.max(...other) <= Math.min(...one) + 0.6;
    }));
    const found = [];
    boxes.forEach((one, i) => boxes.slice(i + 1).forEach((other) => {
        // two lines of the same text may have tall letters
        if (one.node && one.node === other.node) return;
        if (!apart(one.quad, other.quad)) found.push([one.text, other.text]);
    }));
    return { count: boxes.length, found };
}"""


def overlaps(element):
    """The number of visible texts, and the pairs that overlap."""
    told = element.evaluate(OVERLAPS)
    return told["count"], told["found"]
