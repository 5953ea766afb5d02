/* How the ball looks: an SVG, and around it the halo that moves with a voice. It knows states and levels, nothing of questions.
 *
 *   the 8 in front --roll(1)--> the window in front, dark --answer(text)--> the die has come up --sink()--> dark --roll(0)--> the 8 */
import { fit } from "./fit.js";

const R = 180, WINDOW = 122;                 /* radii of the ball and of its window, in the units of the drawing */
const SIDE = 206, TALL = SIDE * 0.866;       /* the die's face */
const FONT = `"Avenir Next", "Segoe UI", "Helvetica Neue", Inter, Cantarell, "Noto Sans", "DejaVu Sans", sans-serif`;

function s(tag, attrs = {}, ...children) {
    const el = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attrs)) el.setAttribute(key, value);
    el.append(...children);
    return el;
}

function shade(id, at, ...stops) {
    return s("radialGradient", { id, ...at }, ...stops.map(([offset, color, opacity = 1]) => s("stop", { offset, "stop-color": color, "stop-opacity": opacity })));
}

function drawing() {
    const half = SIDE / 2, top = -TALL / 3;
    const face = `M${-half} ${top}L${half} ${top}L0 ${top + TALL}Z`;
    const side = (x, y, k) => `${x * k} ${y * k}`;
    /* Three narrow facets around the face: the edges of a twenty-sided die, seen through ink. */
    const facets = [[-half, top, half, top], [half, top, 0, top + TALL], [0, top + TALL, -half, top]]
        .map(([a, b, c, d], i) => s("path", { d: `M${a} ${b}L${c} ${d}L${side(c, d, 1.13)}L${side(a, b, 1.13)}Z`, class: `facet facet-${i}` }));
    const words = s("g", { class: "words" });
    const die = s("g", { class: "die" }, s("g", { class: "bob" }, ...facets, s("path", { d: face, class: "face", fill: "url(#b-face)" }), words));
    const eight = s("g", { class: "eight" },
        s("circle", { r: 82, fill: "url(#b-disc)" }), s("circle", { r: 82, class: "disc-edge" }),
        s("circle", { cy: -23.5, r: 19.5, class: "figure" }), s("circle", { cy: 24.5, r: 25, class: "figure" }));
    const pane = s("g", { class: "pane" },
        s("circle", { r: WINDOW, fill: "url(#b-bezel)" }), s("circle", { r: WINDOW - 1, class: "bezel-edge" }),
        s("g", { "clip-path": "url(#b-clip)" }, s("circle", { r: WINDOW - 9, fill: "url(#b-ink)" }), die, s("circle", { r: WINDOW - 9, fill: "url(#b-deep)" })),
        s("circle", { r: WINDOW - 9, class: "pane-edge" }),
        s("path", { d: "M-92 -50A105 105 0 0 1 -14 -104A150 150 0 0 0 -92 -50Z", class: "glint" }));
    const svg = s("svg", { viewBox: "-200 -200 400 400", class: "drawing", "aria-hidden": "true", focusable: "false" },
        s("defs", {},
            shade("b-body", { cx: "36%", cy: "26%", r: "78%" }, [0, "#4d4a63"], [0.18, "#2b2938"], [0.48, "#14131b"], [0.8, "#08080c"], [1, "#030305"]),
            shade("b-rim", { cx: "50%", cy: "44%", r: "56%" }, [0.82, "#8fa2ff", 0], [0.95, "#8fa2ff", 0.16], [1, "#b9c4ff", 0.5]),
            shade("b-disc", { cx: "42%", cy: "34%", r: "75%" }, [0, "#ffffff"], [0.6, "#f1eee6"], [1, "#c9c4b6"]),
            shade("b-bezel", { cx: "50%", cy: "30%", r: "72%" }, [0.6, "#07070b"], [0.88, "#1a1a24"], [1, "#3a3950"]),
            shade("b-ink", { cx: "50%", cy: "42%", r: "62%" }, [0, "#16246b"], [0.55, "#0b1340"], [1, "#03051a"]),
            shade("b-deep", { cx: "50%", cy: "48%", r: "52%" }, [0.62, "#02030f", 0], [0.86, "#02030f", 0.35], [1, "#02030f", 0.92]),
            shade("b-face", { cx: "46%", cy: "24%", r: "78%" }, [0, "#3d6bff"], [0.5, "#2450e0"], [1, "#1535a8"]),
            s("clipPath", { id: "b-clip" }, s("circle", { r: WINDOW - 9 })),
            s("clipPath", { id: "b-ball" }, s("circle", { r: R })),
            /* Gradients, not blur filters: the drawing is painted often, and on machines without a graphics card too. */
            shade("b-gloss", {}, [0, "#fff", 0.42], [0.45, "#fff", 0.34], [0.75, "#fff", 0.13], [1, "#fff", 0]),
            shade("b-spark", {}, [0, "#fff", 0.95], [0.5, "#fff", 0.8], [1, "#fff", 0]),
            shade("b-bounce", {}, [0, "#8d9bff", 0.42], [0.6, "#8d9bff", 0.16], [1, "#8d9bff", 0])),
        s("circle", { r: R, fill: "url(#b-body)" }),
        s("g", { "clip-path": "url(#b-ball)" }, eight, pane),
        s("circle", { r: R, fill: "url(#b-rim)", class: "rim" }),
        s("g", { "clip-path": "url(#b-ball)" },
            s("ellipse", { cx: -62, cy: -126, rx: 92, ry: 48, transform: "rotate(-28 -62 -126)", fill: "url(#b-gloss)" }),
            s("ellipse", { cx: -82, cy: -120, rx: 23, ry: 10, transform: "rotate(-36 -82 -120)", fill: "url(#b-spark)" }),
            s("ellipse", { cx: 30, cy: 172, rx: 128, ry: 36, fill: "url(#b-bounce)" })));
    return { svg, eight, pane, words };
}

const calm = matchMedia("(prefers-reduced-motion: reduce)");
const ease = (p) => (p < 0.5 ? 4 * p * p * p : 1 - (2 - 2 * p) ** 3 / 2);

export class Look {
    constructor(stage) {
        this.stage = stage;
        const { svg, eight, pane, words } = drawing();
        Object.assign(this, { eight, pane, words, side: 0, level: 0, heard: 0, phase: 0 });
        this.halo = document.createElement("canvas");
        this.halo.className = "halo";
        this.halo.hidden = true;
        this.halo.setAttribute("aria-hidden", "true");
        this.svg = svg;
        this.pen = document.createElement("canvas").getContext("2d");
        this.show(0);
    }

    /* Turned by p of the way from the 8 to the window: both are painted on the sphere, about a quarter of it apart. */
    show(p) {
        this.side = p;
        const put = (el, turn) => {
            const a = turn * 1.75, y = Math.sin(a) * R, squash = Math.cos(a);
            el.setAttribute("transform", `translate(0 ${y.toFixed(2)}) scale(${(0.86 + 0.14 * Math.max(0, squash)).toFixed(4)} ${Math.max(0.001, squash).toFixed(4)})`);
            el.setAttribute("opacity", calm.matches ? Math.max(0, 1 - 2 * Math.abs(turn)) : squash > 0.02 ? 1 : 0);
        };
        if (calm.matches) {
            for (const [el, turn] of [[this.eight, p], [this.pane, 1 - p]]) {
                el.setAttribute("transform", "");
                el.setAttribute("opacity", (1 - turn).toFixed(3));
            }
            return;
        }
        put(this.eight, -p);
        put(this.pane, 1 - p);
    }

    /* 30 steps a second: where the browser has no graphics card it shares the processor with the models, just when they are busiest. */
    roll(to) {
        if (this.rolling === to) return;
        this.rolling = to;
        const from = this.side, began = performance.now(), took = calm.matches ? 250 : 750;
        let shown = 0;
        const step = (now) => {
            if (this.rolling !== to) return;
            const p = Math.min(1, Math.max(0, (now - began) / took));
            if (p < 1 && now - shown < 28) return void requestAnimationFrame(step);
            shown = now;
            this.show(from + (to - from) * ease(p));
            if (p < 1) requestAnimationFrame(step);
        };
        requestAnimationFrame(step);
    }

    state(name) {
        this.stage.dataset.state = name;
        this.hue = getComputedStyle(this.stage).getPropertyValue("--voice").trim() || "#6f8cff";
        this.wake();
    }

    /* The die comes up with its text. -> the size of its letters, in pixels of the screen */
    answer(text) {
        const rtl = /[\u0590-\u08ff]/.test(text), loud = text.length <= 70 && !rtl ? text.toUpperCase() : text;
        this.pen.font = `600 100px ${FONT}`;
        const fitted = fit(loud, (t) => this.pen.measureText(t).width / 100, { width: SIDE, height: TALL, most: 38, leading: 1.16, pad: 3 });
        const top = -TALL / 3;
        this.words.replaceChildren(...fitted.lines.map(({ text: line, y }) => {
            const el = s("text", { x: 0, y: (top + y).toFixed(2), "font-size": fitted.size, "text-anchor": "middle", dy: "0.35em" });
            if (rtl) el.setAttribute("direction", "rtl");
            el.textContent = line;
            return el;
        }));
        this.roll(1);
        this.stage.classList.add("up");
        const scale = this.svg.getBoundingClientRect().width / 400;
        return fitted.size * scale;
    }

    sink() {
        this.stage.classList.remove("up");
    }

    /* How loud it is now, 0 to 1: the microphone's or the voice's. */
    hear(level) {
        this.heard = Math.max(this.heard, Math.min(1, level));
        this.wake();
    }

    wake() {
        if (this.frame) return;
        this.frame = requestAnimationFrame((t) => this.draw(t));
    }

    draw(now) {
        this.frame = 0;
        const still = this.stage.dataset.state === "thinking" && this.shown > 0.95;
        if (now - (this.last ?? 0) < (still ? 100 : 28)) return this.wake(); /* 30 times a second will do here too */
        const dt = Math.min(0.1, (now - (this.last ?? now)) / 1000), state = this.stage.dataset.state;
        this.last = now;
        this.level += (this.heard - this.level) * (this.heard > this.level ? 0.6 : 0.17);
        this.heard *= 0.64;
        const busy = ["listening", "thinking", "speaking"].includes(state);
        this.shown = (this.shown ?? 0) + ((busy ? 1 : 0) - (this.shown ?? 0)) * Math.min(1, dt * 7);
        this.phase += dt * (state === "thinking" ? 2.4 : 0.9 + this.level * 2);
        this.paint();
        if (busy || this.shown > 0.01 || this.level > 0.01) this.wake();
        else this.last = undefined;
    }

    paint() {
        const { halo } = this, dots = Math.min(1.5, devicePixelRatio || 1), wide = Math.round(halo.parentNode.clientWidth * 1.5 * dots);
        if (!wide) return;
        if (halo.width !== wide) halo.width = halo.height = wide;
        const g = halo.getContext("2d"), c = wide / 2, ball = wide * 0.5 * (R / 200) / 1.5;
        g.clearRect(0, 0, wide, wide);
        halo.hidden = this.shown < 0.01;
        if (halo.hidden) return;
        const { hue } = this;
        const loud = this.level, swing = calm.matches ? 0 : 1;
        const glow = g.createRadialGradient(c, c, ball * 0.9, c, c, ball * (1.16 + 0.3 * loud));
        g.globalAlpha = this.shown * (0.25 + 0.4 * loud) * (document.documentElement.dataset.theme === "dark" ? 1 : 0.7);
        glow.addColorStop(0, hue);
        glow.addColorStop(1, `${hue}00`); /* "transparent" is a black that darkens the way there */
        g.fillStyle = glow;
        g.fillRect(0, 0, wide, wide);
        g.strokeStyle = hue;
        for (let ring = 0; ring < 3; ring++) {
            const far = ball * (1.035 + ring * 0.028 + loud * (0.03 + ring * 0.05));
            g.globalAlpha = this.shown * (0.9 - ring * 0.28) * (0.35 + 0.65 * Math.min(1, loud * 1.6 + (ring ? 0 : 0.3)));
            g.lineWidth = dots * (2.4 - ring * 0.6);
            g.beginPath();
            for (let i = 0; i <= 120; i++) {
                const a = i / 120 * Math.PI * 2;
                const wave = Math.sin(a * 3 + this.phase * 2 + ring) * 0.5 + Math.sin(a * 5 - this.phase * 3.1 + ring * 2) * 0.3 + Math.sin(a * 9 + this.phase * 4.3) * 0.2;
                const r = far + swing * wave * ball * (0.004 + loud * 0.045);
                g.lineTo(c + Math.cos(a) * r, c + Math.sin(a) * r);
            }
            g.stroke();
        }
        g.globalAlpha = 1;
    }
}
