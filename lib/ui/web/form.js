/* Fields: Textbox, Number, Slider, Checkbox, CheckboxGroup, Radio. */
import { define } from "./component.js";
import { copyText, h, icon, iconButton, same, setIcon } from "./dom.js";
import { t } from "./texts.js";

export const choice = (c) => (Array.isArray(c) ? { text: String(c[0]), value: c[1] } : { text: String(c), value: c });

export function copyButton(get) {
    const b = iconButton("copy", t("copy"), async () => {
        if (!(await copyText(get()))) return;
        setIcon(b, "check", t("copied"));
        setTimeout(() => setIcon(b, "copy", t("copy")), 1500);
    });
    return b;
}

function focusEvents(c, el) {
    el.addEventListener("focus", () => c.trigger("focus"));
    el.addEventListener("blur", () => c.trigger("blur"));
}

function wantsCopy(p) {
    return p.show_copy_button || (p.buttons ?? []).includes("copy");
}

define("textbox", (c) => {
    const p = c.props, one = p.type === "password" || p.type === "email";
    const lines = p.lines ?? 1, most = Math.max(lines, p.max_lines ?? (p.type === "text" || !p.type ? 20 : 1));
    const field = h(one ? "input" : "textarea", { id: c.uid, class: "field", placeholder: p.placeholder, dir: p.rtl ? "rtl" : "auto", autofocus: p.autofocus,
        maxlength: p.max_length ? String(p.max_length) : undefined, type: one ? p.type : undefined, rows: one ? undefined : lines,
        autocomplete: p.type === "password" ? "current-password" : "off" });
    if (p.text_align) field.style.textAlign = p.text_align;
    for (const [k, v] of Object.entries(p.html_attributes ?? {})) {
        if (/^(autocapitalize|autocorrect|spellcheck|autocomplete|tabindex|enterkeyhint|lang)$/.test(k)) field.setAttribute(k, String(v));
    }
    field.readOnly = !c.interactive;
    const grow = () => {
        if (one || !field.isConnected) return;
        field.style.height = "auto";
        const style = getComputedStyle(field), line = parseFloat(style.lineHeight), rest = parseFloat(style.paddingBlockStart) + parseFloat(style.paddingBlockEnd) + 2;
        const full = field.scrollHeight + 2, top = line * most + rest;
        if (full > 2) field.style.height = `${Math.min(full, top)}px`;
        field.style.overflowY = full > top ? "auto" : "hidden";
    };
    const show = (v) => {
        const text = v === null ? "" : String(v);
        const atEnd = field.scrollTop + field.clientHeight >= field.scrollHeight - 8;
        if (field.value !== text) field.value = text;
        grow();
        if (p.autoscroll !== false && atEnd) field.scrollTop = field.scrollHeight;
    };
    field.addEventListener("input", () => {
        grow();
        c.input(field.value);
    });
    field.addEventListener("keydown", (e) => {
        if (e.key !== "Enter" || e.isComposing) return;
        if (one || e.shiftKey !== (lines === 1)) {
            e.preventDefault();
            if (c.interactive) c.trigger("submit");
        }
    });
    field.addEventListener("select", () => {
        if (!c.has("select")) return;
        const { selectionStart: a, selectionEnd: b } = field;
        c.trigger("select", { index: [a, b], value: field.value.slice(a, b), selected: true });
    });
    focusEvents(c, field);
    field.value = c.value ?? "";
    requestAnimationFrame(grow);
    if (!one && "ResizeObserver" in window) {
        let width = 0; /* also when a tab is opened that hid it */
        new ResizeObserver(([e]) => {
            if (e.contentRect.width !== width) requestAnimationFrame(grow);
            width = e.contentRect.width;
        }).observe(field);
    }
    const row = h("div", { class: "field-row" }, field);
    if (p.type === "password") {
        const b = h("button", { type: "button", class: "text-button", "aria-label": `${t("showPassword")} ${p.label ?? ""}`, onclick: () => {
            field.type = field.type === "password" ? "text" : "password";
            b.textContent = t(field.type === "password" ? "showPassword" : "hidePassword");
        } }, t("showPassword"));
        row.append(b);
    }
    const button = (what, name, event, variant) => {
        if (!what) return;
        row.append(h("button", { type: "button", class: `button ${variant} sm`, "aria-label": t(event), onclick: () => c.trigger(event) }, typeof what === "string" ? what : icon(name)));
    };
    if (c.interactive) button(p.submit_btn, "send", "submit", "primary");
    button(p.stop_btn, "stop", "stop", "stop");
    const tools = wantsCopy(p) ? copyButton(() => {
        c.trigger("copy", { value: field.value });
        return field.value;
    }) : null;
    return { body: row, field, for: c.uid, value: show, tools, focus: () => field.focus() };
});

define("number", (c) => {
    const p = c.props;
    const field = h("input", { id: c.uid, class: "field", type: "number", placeholder: p.placeholder, min: p.minimum?.toString(), max: p.maximum?.toString(), step: p.step ? String(p.step) : "any" });
    field.readOnly = !c.interactive;
    const show = (v) => { field.value = v === null ? "" : String(v); };
    show(c.value);
    field.addEventListener("input", () => c.input(Number.isNaN(field.valueAsNumber) ? null : field.valueAsNumber));
    field.addEventListener("keydown", (e) => {
        if (e.key === "Enter") c.trigger("submit");
    });
    /* A wheel over a focused number would change it unseen. */
    field.addEventListener("wheel", () => field.blur(), { passive: true });
    focusEvents(c, field);
    return { body: field, field, for: c.uid, value: show };
});

define("slider", (c) => {
    const p = c.props, min = p.minimum ?? 0, max = p.maximum ?? 100, step = String(p.step || "any");
    const range = h("input", { type: "range", id: c.uid, min: String(min), max: String(max), step });
    const number = h("input", { type: "number", class: "field slider-number", min: String(min), max: String(max), step, "aria-label": `${p.label ?? ""} (${min}–${max})` });
    range.disabled = number.disabled = !c.interactive;
    const fill = () => range.style.setProperty("--part", `${max > min ? (range.value - min) / (max - min) * 100 : 0}%`);
    const show = (v) => {
        range.value = number.value = String(v ?? min);
        fill();
    };
    show(c.value);
    const moved = (from, to) => {
        if (Number.isNaN(from.valueAsNumber)) return;
        const v = Math.min(max, Math.max(min, from.valueAsNumber));
        to.value = String(v);
        fill();
        c.input(v);
    };
    range.addEventListener("input", () => moved(range, number));
    range.addEventListener("change", () => c.trigger("release", c.value));
    number.addEventListener("input", () => moved(number, range));
    number.addEventListener("change", () => {
        show(c.value);
        c.trigger("release", c.value);
    });
    return { body: h("div", { class: "slider" }, range, number), field: range, for: c.uid, value: show };
});

function tick(kind, name, text, on, disabled, onchange) {
    const box = h("input", { type: kind, name });
    box.checked = on;
    box.disabled = disabled;
    box.addEventListener("change", () => onchange(box.checked, box));
    return h("label", { class: `tick tick-${kind}` }, box, h("span", {}, text));
}

define("checkbox", (c) => {
    const el = tick("checkbox", c.uid, String(c.props.label ?? ""), c.value === true, !c.interactive, (on) => {
        c.input(on);
        c.trigger("select", { index: 0, value: c.props.label, selected: on });
    });
    const note = c.props.info ? h("div", { class: "note" }, c.props.info) : null;
    const body = h("div", { class: "checkbox" }, el, note);
    return { body, value: (v) => { el.firstChild.checked = v === true; }, bare: true };
});

function many(c, kind) {
    const p = c.props, all = (p.choices ?? []).map(choice);
    const on = (v, x) => (kind === "radio" ? same(v, x) : (v ?? []).some((y) => same(y, x)));
    const body = h("div", { class: "ticks" });
    if (kind === "checkbox" && p.show_select_all && c.interactive) {
        body.append(tick("checkbox", `${c.uid}-all`, t("selectAll"), false, false, (full) => {
            c.input(full ? all.map((x) => x.value) : []);
            show(c.value);
        }));
    }
    const ticks = all.map(({ text, value }, index) => tick(kind, c.uid, text, on(c.value, value), !c.interactive, (checked) => {
        const v = kind === "radio" ? value : all.map((x) => x.value).filter((x) => (same(x, value) ? checked : on(c.value, x)));
        c.input(v);
        c.trigger("select", { index, value, selected: checked });
    }));
    body.append(...ticks);
    const show = (v) => ticks.forEach((el, i) => { el.firstChild.checked = on(v, all[i].value); });
    return { body, group: true, role: kind === "radio" ? "radiogroup" : "group", value: show };
}
define("checkboxgroup", (c) => many(c, "checkbox"));
define("radio", (c) => many(c, "radio"));
