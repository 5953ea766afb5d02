/* Text into the die: a triangle that stands on its point, so that lines grow shorter downwards. */

/* What a line may be broken into: words; where none are written apart (Chinese, Japanese, Thai), what the browser takes for words. */
export function pieces(text) {
    const words = text.trim().split(/\s+/).map((w) => ({ text: w, space: true }));
    if (!/[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]/.test(text) || !globalThis.Intl?.Segmenter) return words;
    return words.flatMap(({ text: w }) => [...new Intl.Segmenter(undefined, { granularity: "word" }).segment(w)]
        .reduce((all, { segment, isWordLike }) => {
            if (!isWordLike && all.length) all[all.length - 1].text += segment; /* no line begins with a full stop */
            else all.push({ text: segment, space: !all.length });
            return all;
        }, []));
}

/* Lines from `top` on, each as full as the triangle lets it be there; null: they do not fit. */
function lines(words, measure, size, top, { width, height, leading, pad }) {
    const out = [];
    let at = top, i = 0;
    while (i < words.length) {
        const bottom = at + size * leading, room = width * (1 - bottom / height) - 2 * pad;
        let line = "";
        for (; i < words.length; i++) {
            const longer = line ? line + (words[i].space ? " " : "") + words[i].text : words[i].text;
            if (measure(longer) * size > room) break;
            line = longer;
        }
        if (!line) return null;
        out.push({ text: line, y: at + size * leading / 2 });
        at = bottom;
    }
    return { lines: out, size, top, bottom: at };
}

/* The largest size at which the text fits into a triangle of `width` along the top and `height` down to the point.
 * measure(text) is its width at size 1. -> { lines: [{ text, y of its middle }], size } */
export function fit(text, measure, { width, height, most = 30, least = 5, leading = 1.12, pad = 6, from = 0.07 }) {
    const words = pieces(text), box = { width, height, leading, pad }, middle = height * 0.34;
    if (!words[0]?.text) return { lines: [], size: most };
    for (let size = most; size >= least; size -= 0.5) {
        let best = null;
        for (let top = height * from; top < middle; top += size * leading / 4) {
            const got = lines(words, measure, size, top, box);
            if (!got) break;
            if (!best || Math.abs((got.top + got.bottom) / 2 - middle) < Math.abs((best.top + best.bottom) / 2 - middle)) best = got;
        }
        if (best) return best;
    }
    /* Longer than any answer is: cut. */
    return text.length > 20 ? fit(`${text.slice(0, Math.floor(text.length * 0.8)).trimEnd()}…`, measure, { width, height, most: least, least, leading, pad, from })
        : { lines: [{ text, y: middle }], size: least };
}
