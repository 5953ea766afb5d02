/* A component: its properties, its value, its element, its events. What it looks like is a view, one function a type:
 *
 *   view(c) -> { body, value?(v), frame?, for?, group?, focus? }
 *     body     the element that is put into the frame       value   show another value without being made anew
 *     frame    false: no box around it                        for     id of the field that the label is for
 *     group    the label names a group of fields              slot    (containers) where children go
 *     field    the one field, to be named and described       look    called when classes, sizes, visibility were set
 *     bare     the view shows label and note itself
 *     tools    small buttons at the end of the label's line   gone    called before another view takes its place
 *
 * A view is made again when a property other than the value changes. */
import { emitter, h, same } from "./dom.js";
import { Status } from "./status.js";

const views = new Map();

export function define(types, view) {
    for (const type of types.split(" ")) views.set(type, view);
}

export function known(type) {
    return views.has(type);
}

const containers = new Set(["row", "column", "group", "form", "accordion", "tabs", "tabitem", "sidebar", "draggable"]);

export class Component {
    constructor(page, { id, type, props }) {
        this.page = page;
        this.id = id;
        this.type = type;
        this.props = { ...props };
        this.initial = structuredClone(props.value ?? null);
        this.container = containers.has(type);
        this.events = emitter();
        this.children = [];
        this.parent = null;
        this.element = h("div");
        this.status = new Status(this);
        this.uid = `c${id}`;
    }

    get value() {
        return this.props.value ?? null;
    }

    /* Said by the app; if not, a component is for input if some event takes it, or if none gives it and it starts empty. */
    get interactive() {
        if (typeof this.props.interactive === "boolean") return this.props.interactive;
        const { inputs, outputs } = this.page.roles;
        const v = this.initial;
        const empty = !v || v.length === 0;
        return inputs.has(this.id) || (!outputs.has(this.id) && empty);
    }

    on(event, fn) {
        return this.events.on(event, fn);
    }

    /* An event of this component: first to those who listen here, then to the app's functions. */
    trigger(event, data = null) {
        this.events.emit(event, data);
        return this.page.fire(this.id, event, data);
    }

    has(event) {
        return this.page.listens(this.id, event);
    }

    /* The visitor changed the value; the view shows it already. */
    input(value, ...events) {
        const changed = !same(this.value, value);
        this.props.value = value;
        if (changed) this.trigger("change");
        for (const e of events.length ? events : ["input"]) this.trigger(e);
    }

    /* The app, or a module, changes properties. */
    set(props) {
        const before = this.value;
        const keys = Object.keys(props).filter((k) => !same(this.props[k], props[k]));
        Object.assign(this.props, props);
        if (!this.view) return;
        if (keys.some((k) => k !== "value" && k !== "visible")) this.render();
        else {
            if (keys.includes("visible")) this.look();
            if (keys.includes("value")) this.view.value ? this.view.value(this.value) : this.render();
        }
        if (keys.includes("value") && !same(before, this.value)) this.trigger("change");
    }

    render() {
        this.view?.gone?.();
        const view = this.view = (views.get(this.type) ?? views.get("unknown"))(this);
        if (this.container) this.element.replaceChildren(...view.body);
        else this.element.replaceChildren(...this.frame(view));
        if (this.status.el) this.element.append(this.status.el);
        if (this.container) view.slot.append(...this.children.map((c) => c.element));
        this.look();
    }

    frame(view) {
        const { label, info, show_label, container } = this.props;
        const parts = [], words = label === undefined || label === null ? "" : String(label);
        if (view.frame !== false && !view.bare && words && show_label !== false && container !== false) {
            const name = view.group || !view.for ? h("div", { class: "label", id: `${this.uid}-label` }, words)
                : h("label", { class: "label", for: view.for, id: `${this.uid}-label` }, words);
            parts.push(view.tools ? h("div", { class: "head" }, name, view.tools) : name);
        } else if (view.tools) parts.push(h("div", { class: "head" }, h("span"), view.tools));
        if (info && view.frame !== false && !view.bare) parts.push(h("div", { class: "note", id: `${this.uid}-info` }, String(info)));
        const named = view.group ? view.body : view.field;
        if (named && words) {
            if (parts.length && view.group) named.setAttribute("aria-labelledby", `${this.uid}-label`);
            else if (!parts.length) named.setAttribute("aria-label", words);
            if (info) named.setAttribute("aria-describedby", `${this.uid}-info`);
        }
        if (view.group) view.body.setAttribute("role", view.role ?? "group");
        parts.push(view.body);
        return parts;
    }

    look() {
        const p = this.props, el = this.element, view = this.view;
        const classes = ["m8", `m8-${this.type}`];
        if (!this.container && view.frame !== false && p.container !== false) classes.push("block");
        if (p.variant && this.container) classes.push(`variant-${p.variant}`);
        if (p.equal_height) classes.push("equal-height");
        classes.push(...[p.elem_classes ?? []].flat().filter((c) => typeof c === "string" && c));
        if (el.classList.contains("generating")) classes.push("generating");
        el.className = classes.join(" ");
        if (p.elem_id) el.id = p.elem_id;
        el.dataset.id = this.id;
        el.hidden = p.visible === false || p.visible === "hidden";
        if (typeof p.scale === "number" && (p.scale || this.type !== "form")) el.style.flexGrow = String(p.scale);
        if (typeof p.min_width === "number" && p.min_width > 0) el.style.minWidth = `min(${p.min_width}px, 100%)`;
        for (const key of ["height", "max_height", "min_height", "width"]) {
            if (!view.sizes?.includes(key)) continue;
            const name = { height: "height", max_height: "maxHeight", min_height: "minHeight", width: "width" }[key];
            const size = p[key];
            const to = view.sized ?? el;
            to.style[name] = typeof size === "number" ? `${size}px` : typeof size === "string" ? size : "";
        }
        if (p.rtl) el.dir = "rtl";
        view.look?.();
        this.parent?.tidy();
    }

    /* A form whose fields are all hidden is no box. */
    tidy() {
        if (this.type === "tabs") this.view?.look();
        if (this.type === "form") this.element.hidden = this.children.every((c) => c.element.hidden);
    }

    setStatus(run) {
        this.status.set(run);
    }
}
