/* The start, and what modules of apps build on: import { app } from "../assets/app.js" (see doc/page.md). */
import { AppError, Client, LostError } from "./client.js";
import { h, icon, emitter } from "./dom.js";
import { mainElement, Page } from "./page.js";
import { StreamPlayer, FilePlayer } from "./player.js";
import { transport } from "./audio.js";
import { Recorder, micPossible, micProblem } from "./recorder.js";
import { t, texts } from "./texts.js";
import { toast } from "./toast.js";
import { define } from "./component.js";
import "./layout.js";
import "./form.js";
import "./dropdown.js";
import "./button.js";
import "./media.js";
import "./file.js";
import "./text.js";
import "./data.js";

const config = window.gradio_config ?? {}, info = window.gradio_api_info ?? {};
const client = new Client(config), page = new Page(config, client), bus = emitter();

export const app = {
    config, info, client, page, texts, t, toast, define, h, icon,
    AppError, LostError, micPossible, micProblem,
    on: bus.on, /* "lost", "back" */
    main: null,
    get session() { return client.session; },
    get components() { return page.components; },
    component: (which) => page.component(which),

    /* Calls an endpoint (or a dependency by number) and yields its messages; those with values have them in `data`. The page's own
     * components are not touched. Leaving the loop, or the signal, cancels it. */
    call(which, data = [], options = {}) {
        const d = page.dependency(which);
        if (!d) throw new RangeError(`no endpoint ${which}`);
        return client.call(d.id, data, options);
    },
    /* The same, for the last value only. */
    async predict(which, data = [], options = {}) {
        let last = null;
        for await (const m of app.call(which, data, options)) if (m.data) last = m.data;
        return last;
    },
    /* Runs it as its event would: inputs from components, values into them, status, chains. */
    run(which, event_data = null) {
        const d = page.dependency(which);
        return d ? page.run(d, null, event_data) : Promise.reject(new RangeError(`no endpoint ${which}`));
    },
    cancel: (which) => page.cancel(page.dependency(which)?.id),
    /* One Blob -> one FileData; an array -> an array. */
    async upload(what, name, options) {
        const named = (b, n) => (b instanceof File && !n ? b : new File([b], n ?? "blob", { type: b.type }));
        const list = await client.upload([what].flat().map((b) => named(b, name)), options);
        return Array.isArray(what) ? list : list[0];
    },
    recorder: (options) => new Recorder(options),
    player: (options) => new StreamPlayer({ client, ...options }),
    filePlayer: (url, options) => new FilePlayer(client.local(url), options),
    transport,
};

/* A connection that was lost: say so, ask for the server every 2 s, go on if it is still the same run of the app. */
let lost = null;
client.onlost = () => {
    if (lost) return;
    const words = h("span", {}, t("lost")), banner = h("div", { class: "banner", role: "alert" }, words);
    document.body.prepend(banner);
    bus.emit("lost");
    const ask = async () => {
        const id = await client.appId();
        if (id === null) return void (lost = setTimeout(ask, 2000));
        lost = null;
        if (id === config.app_id || config.app_id === undefined) {
            banner.remove();
            bus.emit("back");
            return toast({ message: t("back"), title: " ", level: "success", duration: 3 });
        }
        if (!touched) return location.reload();
        words.textContent = t("restarted");
        banner.append(h("button", { type: "button", class: "button sm", onclick: () => location.reload() }, t("reload")));
    };
    lost = setTimeout(ask, 500);
};
client.onsignedout = () => location.reload();

/* With words typed in, the visitor decides when to reload. */
let touched = false;
addEventListener("input", () => { touched = true; }, true);

function footer() {
    const links = config.footer_links ?? ["api", "settings"], parts = [];
    const link = (name, text, open) => parts.push(h("button", { type: "button", class: "text-button", onclick: open }, icon(name), text));
    if (links.includes("api")) link("code", t("api"), async () => (await import("./api.js")).open(app));
    if (links.includes("settings")) link("gear", t("settings"), async () => (await import("./settings.js")).open(app));
    if (config.username) parts.push(h("a", { class: "text-button", href: "logout" }, icon("leave"), t("logout", config.username)));
    return h("footer", { class: "footer" }, parts);
}

function fail(e) {
    console.error(e);
    document.body.append(h("p", { class: "banner", role: "alert" }, t("failed")));
}

async function start() {
    texts.apply();
    if (document.readyState === "loading") await new Promise((resolve) => addEventListener("DOMContentLoaded", resolve, { once: true }));
    if (config.title) document.title = config.title;
    if (config.auth_required) {
        (await import("./login.js")).show(app);
        return new Promise(() => {}); /* never ready: a login loads the page anew */
    }
    const main = app.main = mainElement(config);
    page.build(main);
    if (!main.querySelector("h1")) main.prepend(h("h1", { class: "offscreen" }, document.title));
    document.body.append(h("a", { class: "skip", href: "#main" }, t("skip")), main, footer());
    main.tabIndex = -1;
    if (config.connect_heartbeat) client.heartbeat();
    page.load();
    document.documentElement.classList.add("ready");
}

app.ready = start();
app.ready.catch(fail);
