/* Dropdown: a combobox as WAI-ARIA describes it, with one value or several, that can be filtered and may take words of one's own. */
import { define } from "./component.js";
import { h, icon, iconButton, same } from "./dom.js";
import { choice } from "./form.js";
import { t } from "./texts.js";

define("dropdown", (c) => {
    const p = c.props, many = p.multiselect === true, all = (p.choices ?? []).map(choice), free = p.allow_custom_value === true;
    const listId = `${c.uid}-list`;
    const field = h("input", { id: c.uid, class: "combo-field", role: "combobox", "aria-expanded": "false", "aria-controls": listId, "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false" });
    const popup = h("ul", { class: "listbox", id: listId, role: "listbox", "aria-multiselectable": many ? "true" : undefined });
    popup.hidden = true;
    const box = h("div", { class: "combo" }, field, h("span", { class: "combo-mark" }, icon("down")));
    const body = h("div", {}, box, popup);
    field.disabled = !c.interactive;
    field.readOnly = p.filterable === false && !free;
    const textOf = (v) => all.find((x) => same(x.value, v))?.text ?? String(v ?? "");
    const values = () => (many ? c.value ?? [] : []);
    let active = -1, rows = [], typed = false;

    const draw = () => {
        const want = typed ? field.value.trim().toLowerCase() : "";
        const hits = all.map((x, index) => ({ ...x, index })).filter((x) => !want || x.text.toLowerCase().includes(want)).slice(0, Math.max(p.num_choices_shown ?? 100, 1));
        if (free && want && !all.some((x) => x.text.toLowerCase() === want)) hits.push({ text: t("add", field.value.trim()), value: field.value.trim(), index: all.length });
        rows = hits;
        active = Math.min(active, rows.length - 1);
        popup.replaceChildren(...rows.map((x, i) => {
            const on = many ? values().some((v) => same(v, x.value)) : same(c.value, x.value);
            const li = h("li", { role: "option", id: `${listId}-${i}`, "aria-selected": String(on), class: i === active ? "active" : "" }, h("span", {}, x.text), on ? icon("check") : null);
            li.addEventListener("pointerdown", (e) => {
                e.preventDefault(); /* the focus stays in the field */
                pick(x);
            });
            return li;
        }));
        if (!rows.length) popup.append(h("li", { class: "note", role: "presentation" }, t("noMatch")));
        if (active >= 0) {
            field.setAttribute("aria-activedescendant", `${listId}-${active}`);
            popup.children[active].scrollIntoView({ block: "nearest" });
        } else field.removeAttribute("aria-activedescendant");
    };
    const place = () => {
        const at = box.getBoundingClientRect(), below = innerHeight - at.bottom, up = below < 220 && at.top > below;
        Object.assign(popup.style, { left: `${at.left}px`, width: `${at.width}px`, top: up ? "" : `${at.bottom + 4}px`, bottom: up ? `${innerHeight - at.top + 4}px` : "",
            maxHeight: `${Math.max(120, Math.min(320, (up ? at.top : below) - 16))}px` });
    };
    const open = (yes) => {
        if (yes === !popup.hidden || (yes && !c.interactive)) return;
        popup.hidden = !yes;
        field.setAttribute("aria-expanded", String(yes));
        for (const event of ["scroll", "resize"]) (yes ? addEventListener : removeEventListener)(event, place, true);
        if (!yes) return void (active = -1);
        active = many ? -1 : all.findIndex((x) => same(x.value, c.value));
        draw();
        place();
    };
    const pick = (x) => {
        typed = false;
        const on = values().some((v) => same(v, x.value));
        if (many && !on && p.max_choices && values().length >= p.max_choices) return;
        const value = !many ? x.value : on ? values().filter((v) => !same(v, x.value)) : [...values(), x.value];
        field.value = "";
        c.input(value);
        c.trigger("select", { index: x.index, value: x.value, selected: !on });
        show(value);
        if (many) draw();
        else open(false);
    };
    const show = (v) => {
        for (const chip of box.querySelectorAll(".chip")) chip.remove();
        if (!many) field.value = v === null ? "" : textOf(v);
        else {
            for (const x of v ?? []) {
                const text = textOf(x);
                field.before(h("span", { class: "chip" }, h("span", {}, text), c.interactive ? iconButton("close", t("remove", text), (e) => {
                    e.stopPropagation();
                    const value = values().filter((y) => !same(x, y));
                    c.input(value);
                    show(value);
                }) : null));
            }
        }
        field.placeholder = many && v?.length ? "" : p.placeholder ?? t("choose");
    };
    field.addEventListener("input", () => {
        typed = true;
        active = free ? -1 : 0;
        open(true);
        draw();
    });
    field.addEventListener("keydown", (e) => {
        const closed = popup.hidden;
        switch (e.key) {
        case "ArrowDown": case "ArrowUp":
            e.preventDefault();
            if (closed) return open(true);
            active = (active + (e.key === "ArrowDown" ? 1 : -1) + rows.length) % Math.max(rows.length, 1);
            return draw();
        case "Enter":
            if (closed) return;
            e.preventDefault();
            if (rows[active]) pick(rows[active]);
            else if (free && field.value.trim()) pick(rows.find((x) => x.value === field.value.trim()) ?? { value: field.value.trim(), index: all.length });
            return;
        case "Escape":
            if (closed) return;
            e.stopPropagation();
            typed = false;
            show(c.value);
            return open(false);
        case "Backspace":
            if (many && !field.value && values().length) {
                const value = values().slice(0, -1);
                c.input(value);
                show(value);
                if (!closed) draw();
            }
        }
    });
    field.addEventListener("keyup", (e) => c.has("key_up") && c.trigger("key_up", { key: e.key, input_value: field.value }));
    box.addEventListener("click", () => {
        if (!c.interactive) return;
        field.focus();
        open(true);
    });
    field.addEventListener("focus", () => {
        if (!many) field.select();
        c.trigger("focus");
    });
    field.addEventListener("blur", () => {
        open(false);
        const own = field.value.trim();
        if (free && typed && own && !many && own !== textOf(c.value)) c.input(all.find((x) => x.text === own)?.value ?? own);
        typed = false;
        show(c.value);
        if (many) field.value = "";
        c.trigger("blur");
    });
    show(c.value);
    return { body, field, for: c.uid, value: show, gone: () => open(false) };
});
