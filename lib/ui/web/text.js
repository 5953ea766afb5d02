/* Components that show text: Markdown, HTML, Code, Chatbot, and what stands for a type that is not known. */
import { define } from "./component.js";
import { h, same } from "./dom.js";
import { copyButton } from "./form.js";
import { parseMarkdown } from "./markdown.js";
import { build, parseHtml } from "./sanitise.js";
import { t } from "./texts.js";
import { mediaOf } from "./media.js";

const local = (c) => (url) => c.page.client.local(url);

export function markdown(c, text, options) {
    return build(parseMarkdown(text ?? "", options), local(c));
}

function boxed(c, body, show) {
    const p = c.props, tools = (p.buttons ?? []).includes("copy") ? copyButton(() => String(c.value ?? "")) : null;
    show(c.value);
    return { body, frame: p.container === true || !!tools, value: show, tools, sizes: ["height", "max_height", "min_height"], sized: body };
}

define("markdown", (c) => {
    const body = h("div", { class: "prose", dir: c.props.rtl ? "rtl" : "auto" });
    return boxed(c, body, (v) => body.replaceChildren(markdown(c, v, { breaks: c.props.line_breaks })));
});

define("html", (c) => {
    const body = h("div", { class: "prose html" });
    body.addEventListener("click", () => c.has("click") && c.trigger("click"));
    return boxed(c, body, (v) => {
        body.replaceChildren(build(parseHtml(v ?? "", { classes: true }), local(c)));
        if (c.props.autoscroll) body.scrollTop = body.scrollHeight;
    });
});

define("code", (c) => {
    const p = c.props, tools = [copyButton(() => c.value ?? "")];
    if (!c.interactive) {
        const code = h("code", { dir: "ltr" }), body = h("pre", { class: "code", tabindex: "0" }, code);
        if (p.wrap_lines) body.classList.add("wrap");
        const show = (v) => { code.textContent = v ?? ""; };
        show(c.value);
        return { body, value: show, tools: h("span", {}, tools), sized: body };
    }
    const field = h("textarea", { id: c.uid, class: "field code", rows: p.lines ?? 5, spellcheck: "false", dir: "ltr", autocapitalize: "off" });
    const show = (v) => {
        if (field.value !== (v ?? "")) field.value = v ?? "";
        field.rows = Math.min(Math.max(p.lines ?? 5, field.value.split("\n").length), p.max_lines ?? 30);
    };
    show(c.value);
    field.addEventListener("input", () => {
        c.input(field.value);
        show(field.value);
    });
    field.addEventListener("focus", () => c.trigger("focus"));
    field.addEventListener("blur", () => c.trigger("blur"));
    return { body: field, field, for: c.uid, value: show, tools: h("span", {}, tools) };
});

/* A message's content: text, a file, a component, or a list of such. */
function content(c, part) {
    if (Array.isArray(part)) return part.map((x) => content(c, x));
    if (part === null || part === undefined) return "";
    if (typeof part !== "object") {
        const box = h("div", { class: "prose", dir: "auto" });
        if (c.props.render_markdown === false) box.textContent = String(part);
        else box.append(markdown(c, String(part), { breaks: c.props.line_breaks !== false }));
        return box;
    }
    if (part.type === "text") return content(c, part.text);
    const file = part.file ?? part.value ?? part;
    if (file?.path || file?.url) return mediaOf(c, file, part.alt_text);
    return h("pre", { class: "code wrap" }, JSON.stringify(part.value ?? part, null, 1));
}

define("chatbot", (c) => {
    const p = c.props, body = h("div", { class: "chat", role: "log", "aria-live": "polite", tabindex: "0" });
    let shown = [];
    const pairs = (v) => (v ?? []).flatMap((m, i) => (Array.isArray(m) ? [{ role: "user", content: m[0] }, { role: "assistant", content: m[1] }].filter((x) => x.content !== null) : [m]));
    const make = (m, index) => {
        const who = m.role === "user" ? "user" : "assistant", title = m.metadata?.title;
        const inner = content(c, m.content);
        const bubble = h("div", { class: `bubble ${who}` }, h("span", { class: "offscreen" }, `${t(`${who}_said`)}: `),
            title ? h("details", { class: "thought", open: m.metadata.status === "pending" }, h("summary", {}, title), inner) : inner);
        for (const o of m.options ?? []) {
            bubble.append(h("button", { type: "button", class: "button secondary sm", onclick: () => c.trigger("option_select", { index, value: o.value }) }, o.label ?? o.value));
        }
        if (c.has("select")) bubble.addEventListener("click", () => c.trigger("select", { index, value: m.content, selected: true }));
        return bubble;
    };
    const show = (v) => {
        const list = pairs(v), atEnd = body.scrollTop + body.clientHeight >= body.scrollHeight - 20;
        let keep = 0;
        while (keep < list.length && keep < shown.length && same(list[keep], shown[keep])) keep++;
        if (!shown.length || !list.length) body.replaceChildren();
        while (body.children.length > keep) body.lastChild.remove();
        body.append(...list.slice(keep).map((m, i) => make(m, keep + i)));
        if (!list.length) {
            body.append(p.placeholder ? h("div", { class: "prose empty" }, markdown(c, p.placeholder)) : h("div", { class: "empty" }, t("empty")));
        }
        shown = structuredClone(list);
        if (p.autoscroll !== false && atEnd) body.scrollTop = body.scrollHeight;
    };
    show(c.value);
    const tools = (p.buttons ?? []).some((b) => b === "copy_all" || b === "copy") ? copyButton(() =>
        pairs(c.value).map((m) => `${m.role}: ${typeof m.content === "string" ? m.content : [m.content].flat().map((x) => x?.text ?? x?.file?.orig_name ?? "").join(" ")}`).join("\n")) : null;
    return { body, group: true, role: "log", value: show, tools, sizes: ["height", "max_height", "min_height"], sized: body };
});

define("unknown", (c) => {
    const body = h("pre", { class: "code wrap" });
    const show = (v) => { body.textContent = JSON.stringify(v, null, 2); };
    show(c.value);
    return { body: h("div", {}, h("div", { class: "note" }, c.type), body), value: show };
});

