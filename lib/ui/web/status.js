/* What an output shows while its function waits, works or has failed: a cover (full), a line (minimal) or nothing (hidden). */
import { h, iconButton } from "./dom.js";
import { t } from "./texts.js";

function seconds(ms) {
    return (ms / 1000).toFixed(1);
}

function amount(p) {
    if (typeof p.progress === "number") return p.progress;
    return p.length ? p.index / p.length : null;
}

export class Status {
    constructor(component) {
        this.host = component;
        this.el = null;
        this.timer = null;
    }

    /* run: { stage: "waiting"|"working"|"generating"|"done"|"error", show, began, rank, size, eta, progress } */
    set(run) {
        const stage = run.show === "hidden" ? "done" : run.stage;
        this.run = run;
        this.host.element.classList.toggle("generating", stage === "generating");
        this.host.element.setAttribute("aria-busy", String(["waiting", "working", "generating"].includes(stage)));
        clearInterval(this.timer);
        this.timer = null;
        if (stage === "done" || (stage === "generating" && !run.progress)) return this.remove();
        if (!this.el) {
            this.el = h("div", { class: "status" });
            this.host.element.append(this.el);
        }
        this.el.className = `status status-${run.show} status-${stage === "error" ? "failed" : stage}`;
        if (stage === "error") {
            this.el.replaceChildren(h("span", { class: "status-error", role: "alert" }, t("error")), iconButton("close", t("clear"), () => this.remove()));
            return;
        }
        this.draw();
        this.timer = setInterval(() => this.drawTime(), 100);
    }

    draw() {
        const { stage, rank, size, progress, show } = this.run;
        const parts = [];
        this.time = h("span", { class: "status-time", "aria-hidden": "true" });
        if (progress?.length) {
            for (const p of progress) {
                const part = amount(p), unit = p.unit ?? "steps";
                const words = [p.desc, p.length ? `${t("progressOf", p.index ?? 0, p.length)} ${unit}` : part !== null ? `${Math.round(part * 100)}%` : null];
                const fill = h("div", { class: "bar-fill" });
                fill.style.width = part === null ? "100%" : `${Math.max(0, Math.min(1, part)) * 100}%`;
                parts.push(h("div", { class: "progress-line" }, h("span", {}, words.filter(Boolean).join(" · ")),
                    h("div", { class: "bar", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100", "aria-label": p.desc || t("processing"),
                        "aria-valuenow": part === null ? undefined : String(Math.round(part * 100)) }, fill)));
            }
        } else {
            if (show === "full") parts.push(h("div", { class: "spinner", "aria-hidden": "true" }));
            const words = stage === "waiting" && size > 0 && rank !== null && rank > 0 ? t("queue", rank + 1, size) : t(stage === "waiting" ? "waiting" : "processing");
            parts.push(h("span", { class: "status-words", role: "status" }, words));
        }
        this.el.replaceChildren(...parts, this.time);
        this.drawTime();
    }

    drawTime() {
        const went = performance.now() - this.run.began;
        this.time.textContent = this.run.eta ? t("eta", seconds(went), this.run.eta.toFixed(1)) : t("elapsed", seconds(went));
    }

    remove() {
        clearInterval(this.timer);
        this.el?.remove();
        this.el = null;
    }
}
