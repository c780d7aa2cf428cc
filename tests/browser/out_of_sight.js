// What must be seen of a panel on the stage and is not: (card) -> sentences.
(card) => {
    const said = [], inside = (box, other) => box.left >= other.left - 1 && box.right <= other.right + 1
        && box.top >= other.top - 1 && box.bottom <= other.bottom + 1;
    const screen = {left: 0, top: 0, right: innerWidth, bottom: innerHeight};
    for (const part of card.querySelectorAll('.kd-title, .kd-status, .kd-to-stage, .kd-controls > *, '
            + '.kd-controls label, .kd-bar button, .kd-bar input, .kd-plot, .kd-formula, .kd-reading, .kd-asked > *')) {
        const box = part.getBoundingClientRect(), name = part.textContent.slice(0, 30) || part.className;
        if (!box.width || !box.height) said.push(`${name}: nothing to see`);
        else if (!inside(box, screen)) said.push(`${name}: beyond the screen`);
        else if (!card.contains(document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2)))
            said.push(`${name}: something lies over it`);
    }
    const status = card.querySelector('.kd-status');
    const lines = status.clientHeight / 1.45 / parseFloat(getComputedStyle(status).fontSize);
    if (card.querySelector('.kd-transport') && lines > 2.5)
        said.push(`status: ${Math.round(lines)} lines move what is under it`);
    const figure = card.querySelector('.kd-figure').getBoundingClientRect();
    for (const part of card.querySelectorAll('.kd-head, .kd-controls, .kd-bar, .kd-formula, .kd-reading, .kd-asked')) {
        const box = part.getBoundingClientRect();
        const over = Math.min(box.right, figure.right) - Math.max(box.left, figure.left) > 1
            && Math.min(box.bottom, figure.bottom) - Math.max(box.top, figure.top) > 1;
        if (over) said.push(`${part.className}: lies over the figure`);
        if (part.scrollHeight > part.clientHeight + 1) said.push(`${part.className}: must be scrolled`);
    }
    return said;
}
