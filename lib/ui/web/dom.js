/* Elements, icons and small helpers. Text only ever enters the page as text: nothing here takes markup. */

export function h(tag, props, ...children) {
    const el = document.createElement(tag);
    for (const [key, value] of Object.entries(props ?? {})) {
        if (value === undefined || value === null || value === false) continue;
        if (key === "class") el.className = value;
        else if (key === "style") Object.assign(el.style, value);
        else if (key.startsWith("on")) el.addEventListener(key.slice(2), value);
        else if (key in el && typeof value !== "string") el[key] = value;
        else el.setAttribute(key, value === true ? "" : value);
    }
    el.append(...children.flat(9).filter((c) => c !== undefined && c !== null && c !== false));
    return el;
}

const shapes = {
    mic: "M12 3a3 3 0 0 0-3 3v6a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM5 11v1a7 7 0 0 0 14 0v-1M12 19v3",
    play: "M7 4.5v15l12-7.5z",
    pause: "M8 5v14M16 5v14",
    stop: "M6 6h12v12H6z",
    upload: "M12 16V4M7 9l5-5 5 5M4 16v3a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-3",
    download: "M12 4v12M7 11l5 5 5-5M4 17v2a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-2",
    copy: "M9 9h11v11H9zM5 15H4V4h11v1",
    close: "M6 6l12 12M18 6L6 18",
    check: "M5 13l4 4L19 7",
    down: "M6 9l6 6 6-6",
    left: "M15 6l-6 6 6 6",
    right: "M9 6l6 6-6 6",
    file: "M14 3H6v18h12V7zM14 3v4h4",
    image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9.5h.01",
    music: "M9 18V5l11-2v13M9 18a3 3 0 1 1-3-3 3 3 0 0 1 3 3zM20 16a3 3 0 1 1-3-3 3 3 0 0 1 3 3z",
    video: "M3 6h12v12H3zM15 10l6-3v10l-6-3",
    volume: "M4 9v6h4l5 4V5L8 9zM16.5 8.5a5 5 0 0 1 0 7M19 6a9 9 0 0 1 0 12",
    mute: "M4 9v6h4l5 4V5L8 9zM17 9.5l5 5M22 9.5l-5 5",
    expand: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
    gear: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
    code: "M8 7l-5 5 5 5M16 7l5 5-5 5",
    menu: "M4 6h16M4 12h16M4 18h16",
    send: "M12 20V5M6 11l6-6 6 6",
    leave: "M14 4H5v16h9M10 12h11M17 8l4 4-4 4",
    table: "M4 5h16v14H4zM4 10h16M10 5v14",
};

export function icon(name) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("class", `icon icon-${name}`);
    svg.setAttribute("aria-hidden", "true");
    path.setAttribute("d", shapes[name] ?? shapes.file);
    svg.append(path);
    return svg;
}

/* A button that shows an icon only; its label is for a screen reader and the pointer's hint. */
export function iconButton(name, label, onclick, cls = "") {
    return h("button", { type: "button", class: `icon-button ${cls}`, "aria-label": label, title: label, onclick }, icon(name));
}

export function setIcon(button, name, label) {
    button.replaceChildren(icon(name));
    button.setAttribute("aria-label", label);
    button.title = label;
}

export function clock(seconds) {
    if (!Number.isFinite(seconds)) return "0:00";
    const s = Math.floor(seconds), m = Math.floor(s / 60);
    return `${m}:${String(s % 60).padStart(2, "0")}`;
}

export function bytes(n) {
    if (!Number.isFinite(n)) return "";
    const units = ["B", "KB", "MB", "GB"];
    let i = 0;
    for (; n >= 1000 && i < units.length - 1; i++) n /= 1000;
    return `${i && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

/* Equal by value, as JSON has it. */
export function same(a, b) {
    if (a === b) return true;
    if (typeof a !== "object" || typeof b !== "object" || !a || !b) return false;
    if (Array.isArray(a) !== Array.isArray(b)) return false;
    const keys = Object.keys(a);
    return keys.length === Object.keys(b).length && keys.every((k) => k in b && same(a[k], b[k]));
}

/* Where a link or a picture may point to, or null. A picture of this server must be a file: to fetch "logout" would do something. */
export function safeUrl(url, kind = "link") {
    const text = String(url ?? "").replace(/[\u0000-\u0020]/g, ""), scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase();
    if (kind === "link") return !scheme || /^(https?|mailto)$/.test(scheme) ? text : null;
    if (scheme && !/^https?$/.test(scheme)) return /^(blob:|data:(image\/(png|jpeg|gif|webp)|(audio|video)\/[\w.-]+)[;,])/i.test(text) ? text : null;
    const here = globalThis.location?.href ?? "http://here/";
    try {
        const to = new URL(text, here);
        return to.origin !== new URL(here).origin || /\/(static|assets)\/|\/file=|\/stream\//.test(to.pathname) ? text : null;
    } catch {
        return null;
    }
}

export function emitter() {
    const table = new Map();
    return {
        on(event, fn) {
            if (!table.has(event)) table.set(event, new Set());
            table.get(event).add(fn);
            return () => table.get(event).delete(fn);
        },
        emit(event, ...args) {
            for (const fn of [...(table.get(event) ?? [])]) fn(...args);
        },
    };
}

export async function copyText(text) {
    try {
        await navigator.clipboard.writeText(text);
        return true;
    } catch { /* no clipboard without https: an area that is selected still can */
        const area = h("textarea", { class: "offscreen" });
        area.value = text;
        document.body.append(area);
        area.select();
        const done = document.execCommand("copy");
        area.remove();
        return done;
    }
}
