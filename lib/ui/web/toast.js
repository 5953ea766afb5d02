/* Messages at the corner. Their text is text, never markup. Errors are read out at once, the others when there is time. */
import { h, iconButton } from "./dom.js";
import { t } from "./texts.js";

const most = 6;
let stack = null;

export function toast({ message = "", title = null, level = "info", duration = 10, visible = true }) {
    if (visible === false) return null;
    if (!stack) {
        stack = h("div", { class: "toasts", role: "region", "aria-label": t("info") });
        document.body.append(stack);
    }
    const el = h("div", { class: `toast toast-${level}`, role: level === "error" || level === "warning" ? "alert" : "status" },
        h("div", { class: "toast-text" }, h("strong", {}, title || t(level)), h("div", {}, message)),
        iconButton("close", t("close"), () => gone()));
    let timer = null;
    const gone = () => {
        clearTimeout(timer);
        el.classList.add("leaving");
        setTimeout(() => el.remove(), 200);
    };
    const run = () => {
        if (Number.isFinite(duration) && duration !== null) timer = setTimeout(gone, Math.max(duration, 0) * 1000);
    };
    el.addEventListener("pointerenter", () => clearTimeout(timer));
    el.addEventListener("pointerleave", run);
    while (stack.children.length >= most) stack.firstChild.remove();
    stack.append(el);
    run();
    return { element: el, close: gone };
}
