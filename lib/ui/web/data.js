/* Components that show data: JSON, Label, HighlightedText, Dataframe, Dataset (examples); and the ones that show nothing: State, Timer. */
import { define } from "./component.js";
import { h, icon, iconButton } from "./dom.js";
import { copyButton } from "./form.js";
import { kindOf } from "./media.js";
import { t } from "./texts.js";
import { markdown } from "./text.js";

const leaf = (v) => h("span", { class: `json-${v === null ? "null" : typeof v}` }, typeof v === "string" ? JSON.stringify(v) : String(v));

/* Branches are made when they are opened, so that large values cost little. */
function tree(value, name, open) {
    const key = name === null ? null : h("span", { class: "json-key" }, `${name}: `);
    if (value === null || typeof value !== "object") return h("div", { class: "json-line" }, key, leaf(value));
    const list = Array.isArray(value), entries = Object.entries(value), [a, b] = list ? ["[", "]"] : ["{", "}"];
    if (!entries.length) return h("div", { class: "json-line" }, key, `${a}${b}`);
    const inner = h("div", { class: "json-inner" });
    const el = h("details", {}, h("summary", {}, key, h("span", { class: "json-fold" }, `${a} ${t("items", entries.length)} ${b}`)), inner);
    const fill = () => {
        if (el.open && !inner.firstChild) inner.append(...entries.slice(0, 2000).map(([k, v]) => tree(v, list ? k : JSON.stringify(k), open - 1)));
    };
    el.addEventListener("toggle", fill);
    el.open = open > 0;
    fill();
    return el;
}

define("json", (c) => {
    const body = h("div", { class: "json", dir: "ltr" });
    const show = (v) => body.replaceChildren(v === null ? h("div", { class: "empty" }, icon("code"), h("span", {}, t("empty"))) : tree(v, null, c.props.open ? 99 : 3));
    show(c.value);
    const tools = (c.props.buttons ?? ["copy"]).includes("copy") ? copyButton(() => JSON.stringify(c.value, null, 2)) : null;
    return { body, value: show, tools, sizes: ["height", "max_height", "min_height"], sized: body };
});

define("label", (c) => {
    const body = h("div", { class: "label-view" });
    const show = (v) => {
        const parts = v?.confidences ?? null;
        body.replaceChildren(...[v?.label !== undefined && v?.label !== null && c.props.show_heading !== false ? h("div", { class: "label-top" }, String(v.label)) : null,
            ...(parts ?? []).map(({ label, confidence }, index) => {
                const fill = h("div", { class: "bar-fill" }), shown = Math.round((confidence ?? 0) * 100);
                fill.style.width = `${shown}%`;
                return h("button", { type: "button", class: "label-row", onclick: () => c.trigger("select", { index, value: label, selected: true }) },
                    h("span", {}, String(label)), h("span", {}, `${shown}%`), h("div", { class: "bar" }, fill));
            }), v?.label === undefined || v?.label === null ? h("div", { class: "empty" }, t("empty")) : null].filter(Boolean));
    };
    show(c.value);
    return { body, value: show };
});

const hues = [265, 150, 25, 200, 330, 90, 0, 50, 230, 300];

define("highlightedtext", (c) => {
    const p = c.props, text = h("div", { class: "highlighted", dir: p.rtl ? "rtl" : "auto" }), legend = h("div", { class: "legend" }), body = h("div", {}, legend, text);
    const seen = new Map();
    const colour = (name) => {
        if (!seen.has(name)) seen.set(name, hues[seen.size % hues.length]);
        return p.color_map?.[name] && /^[#\w]+$/.test(p.color_map[name]) ? p.color_map[name] : `hsl(${seen.get(name)} 75% 55%)`;
    };
    const paint = (el, name) => {
        el.style.setProperty("--tint", colour(name));
        return el;
    };
    const show = (v) => {
        let last = null;
        const list = (v?.tokens ?? v ?? []).map((x) => (Array.isArray(x) ? { token: x[0], class_or_confidence: x[1] } : x)).reduce((out, x) => {
            const kind = x.class_or_confidence ?? null;
            if (p.combine_adjacent && out.length && last === kind) out[out.length - 1].token += (p.adjacent_separator ?? "") + x.token;
            else out.push({ token: x.token, kind });
            last = kind;
            return out;
        }, []);
        text.replaceChildren(...list.map(({ token, kind }, index) => {
            if (kind === null) return token;
            if (typeof kind === "number") {
                const el = h("mark", { title: kind.toFixed(2) }, token);
                el.style.background = `hsl(${kind < 0 ? 0 : 265} 80% 60% / ${Math.min(1, Math.abs(kind))})`;
                return el;
            }
            const el = paint(h("mark", {}, h("span", {}, token), p.show_inline_category !== false ? h("small", {}, kind) : null), kind);
            el.addEventListener("click", () => c.trigger("select", { index, value: [token, kind], selected: true }));
            return el;
        }));
        legend.replaceChildren(...(p.show_legend ? [...seen.keys()].map((name) => paint(h("mark", {}, name), name)) : []));
    };
    show(c.value);
    return { body, value: show };
});

define("dataframe", (c) => {
    const p = c.props, table = h("table", { class: "grid" }), body = h("div", { class: "table-box", tabindex: "0" }, table);
    let order = null;
    const show = (v) => {
        const headers = v?.headers ?? p.headers ?? [], data = v?.data ?? [], types = p.datatype ?? "str";
        const kind = (k) => (Array.isArray(types) ? types[k] : types);
        const rows = data.map((row, i) => ({ row, i }));
        if (order) {
            const value = (x) => x.row[order.by];
            rows.sort((x, y) => (typeof value(x) === "number" && typeof value(y) === "number" ? value(x) - value(y) : String(value(x)).localeCompare(String(value(y)))) * order.way);
        }
        const head = h("tr", {}, p.show_row_numbers ? h("th", {}) : null, headers.map((name, k) => h("th", { scope: "col", "aria-sort": order?.by === k ? (order.way > 0 ? "ascending" : "descending") : "none" },
            h("button", { type: "button", onclick: () => {
                order = order?.by === k ? (order.way > 0 ? { by: k, way: -1 } : null) : { by: k, way: 1 };
                show(c.value);
            } }, String(name), order?.by === k ? h("span", { "aria-hidden": "true" }, order.way > 0 ? " ↑" : " ↓") : null))));
        const cell = (x, k, i) => {
            const td = h("td", { dir: "auto", class: typeof x === "number" ? "number" : "" });
            if (kind(k) === "markdown") td.append(markdown(c, String(x ?? "")));
            else td.textContent = x === null || x === undefined ? "" : typeof x === "object" ? JSON.stringify(x) : String(x);
            td.addEventListener("click", () => c.has("select") && c.trigger("select", { index: [i, k], value: x, row_value: data[i], selected: true }));
            return td;
        };
        table.replaceChildren(h("thead", {}, head), h("tbody", {}, rows.slice(0, 1000).map(({ row, i }) => h("tr", {}, p.show_row_numbers ? h("td", { class: "note" }, i + 1) : null, row.map((x, k) => cell(x, k, i))))));
        body.classList.toggle("wrap", p.wrap === true);
    };
    show(c.value);
    return { body, group: true, role: "region", value: show, sizes: ["max_height"], sized: body };
});

define("dataset", (c) => {
    const p = c.props, samples = p.samples ?? [], per = p.samples_per_page ?? 10, kinds = (p.components ?? []).map((x) => x.name ?? x);
    const labels = p.sample_labels ?? null, body = h("div", { class: "examples" }), headers = p.headers ?? [];
    let page = 0;
    const plain = (x) => (x === null || x === undefined ? "" : typeof x === "object" ? x.orig_name ?? String(x.path ?? "").split("/").pop() ?? JSON.stringify(x) : String(x));
    const cell = (x, kind) => {
        const url = x?.url && kindOf(x) === "image" ? c.page.client.local(x.url) : null;
        return url ? h("img", { src: url, alt: plain(x), loading: "lazy" }) : h("span", { class: kind === "markdown" || kind === "html" ? "" : "cut" }, plain(x));
    };
    const pick = (index) => {
        c.props.value = index;
        c.trigger("click", { index, value: samples[index] });
        c.trigger("select", { index, value: samples[index], selected: true });
    };
    const shown = (k) => (p.component_props?.[k]?.visible ?? true) !== false;
    const draw = () => {
        const from = page * per, part = samples.slice(from, from + per), pages = Math.ceil(samples.length / per);
        const simple = labels || kinds.length < 2;
        const list = simple ? h("div", { class: "chips" }, part.map((row, i) => h("button", { type: "button", class: "example", onclick: () => pick(from + i) }, labels ? labels[from + i] : cell([row].flat()[0], kinds[0]))))
            : h("div", { class: "table-box" }, h("table", { class: "grid rows" }, h("thead", {}, h("tr", {}, headers.map((x, k) => (shown(k) ? h("th", { scope: "col" }, String(x ?? "")) : null)))),
                h("tbody", {}, part.map((row, i) => {
                    const tr = h("tr", { tabindex: "0", role: "button", onclick: () => pick(from + i) }, row.map((x, k) => (shown(k) ? h("td", {}, cell(x, kinds[k])) : null)));
                    tr.addEventListener("keydown", (e) => (e.key === "Enter" || e.key === " ") && (e.preventDefault(), pick(from + i)));
                    return tr;
                }))));
        const turn = (by) => {
            page += by;
            draw();
        };
        const pager = pages > 1 ? h("div", { class: "pager" }, iconButton("left", t("previous"), () => page > 0 && turn(-1), "flip"), h("span", {}, t("page", page + 1, pages)), iconButton("right", t("next"), () => page < pages - 1 && turn(1), "flip")) : null;
        body.replaceChildren(...[h("div", { class: "label" }, icon("table"), p.label || t("examples")), list, pager].filter(Boolean));
    };
    draw();
    return { body, frame: false, value() {} };
});

const nothing = (c) => ({ body: h("span"), frame: false, value() {}, look: () => { c.element.hidden = true; } });
define("state browserstate api", nothing);

define("timer", (c) => {
    const seconds = Number(c.value);
    const timer = c.props.active !== false && seconds > 0 ? setInterval(() => c.trigger("tick"), Math.max(seconds, 0.05) * 1000) : null;
    return { ...nothing(c), value: () => c.render(), gone: () => clearInterval(timer) };
});
