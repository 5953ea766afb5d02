/* Containers: rows, columns, groups, forms, accordions, tabs, sidebars. Their children are put in by Component.render(). */
import { define } from "./component.js";
import { h, icon, iconButton } from "./dom.js";
import { t } from "./texts.js";

define("row column group form draggable", (c) => ({ get body() { return []; }, slot: c.element, sizes: ["height", "max_height", "min_height"] }));

define("accordion", (c) => {
    const slot = h("div", { class: "accordion-body column" });
    const el = h("details", { class: "accordion" }, h("summary", {}, h("span", {}, c.props.label ?? ""), icon("down")), slot);
    el.open = c.props.open !== false;
    let told = el.open; /* the first toggle event only says how it began */
    el.addEventListener("toggle", () => {
        if (el.open === told) return;
        told = c.props.open = el.open;
        c.trigger(el.open ? "expand" : "collapse");
    });
    return { body: [el], slot };
});

define("sidebar", (c) => {
    const slot = h("div", { class: "sidebar-body column" });
    const right = c.props.position === "right";
    const show = (open) => {
        c.element.classList.toggle("open", open);
        slot.inert = !open;
        button.setAttribute("aria-expanded", String(open));
        button.title = t(open ? "closeSidebar" : "openSidebar");
        button.setAttribute("aria-label", button.title);
    };
    const button = iconButton("menu", t("openSidebar"), () => {
        c.props.open = !c.element.classList.contains("open");
        show(c.props.open);
        c.trigger(c.props.open ? "expand" : "collapse");
    }, "sidebar-button");
    const width = c.props.width ?? 320;
    slot.style.width = typeof width === "number" ? `${width}px` : String(width);
    c.element.setAttribute("role", "complementary");
    if (matchMedia("(max-width: 700px)").matches) c.props.open = false; /* it would hide the page */
    const look = () => {
        c.element.classList.add(right ? "right" : "left");
        show(c.props.open !== false);
    };
    return { body: [button, slot], slot, look };
});

/* Tabs: the buttons are made from the children, whose own elements are the panels. */
define("tabs", (c) => {
    const list = h("div", { class: "tab-list", role: "tablist" });
    const slot = h("div", { class: "tab-panels" });
    const items = () => c.children.filter((i) => i.type === "tabitem" && i.props.visible !== false && i.props.visible !== "hidden");
    const key = (item) => item.props.id ?? item.id;
    let selected = c.props.selected ?? null;
    const select = (item, byVisitor) => {
        const was = selected;
        selected = c.props.selected = key(item);
        show();
        if (!byVisitor || was === selected) return;
        const data = { index: items().indexOf(item), value: item.props.label, selected: true };
        c.trigger("change");
        c.trigger("select", data);
        item.trigger("select", data);
    };
    const show = () => {
        const all = items();
        if (!all.some((i) => key(i) === selected)) selected = all.length ? key(all.find((i) => i.props.interactive !== false) ?? all[0]) : null;
        list.replaceChildren(...all.map((item) => {
            const on = key(item) === selected;
            const b = h("button", { type: "button", role: "tab", class: "tab", id: `tab-${item.id}`, "aria-controls": item.props.elem_id ?? `panel-${item.id}`, "aria-selected": String(on) }, String(item.props.label ?? ""));
            b.tabIndex = on ? 0 : -1;
            b.disabled = item.props.interactive === false;
            b.addEventListener("click", () => select(item, true));
            return b;
        }));
        for (const item of c.children) {
            item.element.setAttribute("role", "tabpanel");
            item.element.id = item.props.elem_id ?? `panel-${item.id}`;
            item.element.setAttribute("aria-labelledby", `tab-${item.id}`);
            item.element.hidden = !(all.includes(item) && key(item) === selected);
        }
    };
    list.addEventListener("keydown", (e) => {
        const forward = document.documentElement.dir === "rtl" ? "ArrowLeft" : "ArrowRight", back = forward === "ArrowRight" ? "ArrowLeft" : "ArrowRight";
        const all = items().filter((i) => i.props.interactive !== false), at = all.findIndex((i) => key(i) === selected);
        const to = { [forward]: all[(at + 1) % all.length], [back]: all[(at - 1 + all.length) % all.length], Home: all[0], End: all[all.length - 1] }[e.key];
        if (!to) return;
        e.preventDefault();
        select(to, true);
        list.querySelector("[aria-selected=true]")?.focus();
    });
    return { body: [list, slot], slot, look: show };
});

define("tabitem", (c) => ({ body: [], slot: c.element }));
