/* The page of an app: its components in their layout, and its functions, run when their events happen.
 *
 *   fire(component, event) -> run(dependency) -> messages -> values of outputs -> the dependencies that come after it
 *
 * Chains are run here, not by the server; so are cancels and trigger modes:
 *   once         while it runs, the event is passed over      always_last   it runs once more when it has ended
 *   multiple     as many at a time as there are events */
import { Component } from "./component.js";
import { AppError, LostError } from "./client.js";
import { h } from "./dom.js";
import { t } from "./texts.js";
import { toast } from "./toast.js";

/* A function of the page that only gives constants, as those behind Clear buttons: `() => [null, []]`. It is read as data, not run. */
export function constantsOf(js) {
    const body = /^\s*\(\s*\)\s*=>\s*(\[[\s\S]*\])\s*;?\s*$/.exec(js ?? "")?.[1];
    if (!body) return null;
    try {
        return JSON.parse(body);
    } catch {
        return null;
    }
}

const noValue = new Set(["state", "browserstate"]);

export class Page {
    constructor(config, client) {
        this.config = config;
        this.client = client;
        this.components = new Map();
        this.runs = new Map(); /* dependency id -> Set of runs */
        this.again = new Map();
        this.feeds = new Map();
        const here = config.page?.[config.current_page ?? ""];
        const ids = here?.dependencies ? new Set(here.dependencies) : null;
        this.dependencies = (config.dependencies ?? []).filter((d) => !ids || ids.has(d.id));
        this.layout = here?.layout ?? config.layout ?? {};
        this.roles = { inputs: new Set(), outputs: new Set() };
        this.byEvent = new Map();
        for (const d of this.dependencies) {
            d.inputs.forEach((id) => this.roles.inputs.add(id));
            d.outputs.forEach((id) => this.roles.outputs.add(id));
            for (const [id, event] of d.targets ?? []) {
                const key = `${id}/${event}`;
                if (!this.byEvent.has(key)) this.byEvent.set(key, []);
                this.byEvent.get(key).push(d);
            }
        }
    }

    build(main) {
        for (const spec of this.config.components ?? []) this.components.set(spec.id, new Component(this, spec));
        const make = (node, parent) => {
            const c = this.components.get(node.id);
            if (!c) return;
            c.parent = parent;
            parent?.children.push(c);
            for (const child of node.children ?? []) make(child, c);
            if (c.container || !node.children?.length) c.render();
            if (!parent) main.append(c.element);
        };
        for (const node of this.layout.children ?? []) make(node, null);
    }

    /* Component by its number, or by its elem_id. */
    component(which) {
        if (this.components.has(which)) return this.components.get(which);
        return [...this.components.values()].find((c) => c.props.elem_id === which) ?? null;
    }

    /* Dependency by its number, its endpoint's name with or without "/". */
    dependency(which) {
        const name = String(which).replace(/^\//, "");
        return this.dependencies.find((d) => d.id === which) ?? this.dependencies.find((d) => d.api_name === name) ?? null;
    }

    listens(id, event) {
        return this.byEvent.has(`${id}/${event}`);
    }

    fire(id, event, data = null) {
        const hit = this.byEvent.get(`${id}/${event}`) ?? [];
        return Promise.all(hit.map((d) => this.run(d, id, data)));
    }

    load() {
        for (const d of this.dependencies) {
            for (const [id, event] of d.targets ?? []) {
                if (event === "load" && !this.components.get(id)?.view) this.run(d, id);
            }
        }
    }

    running(d) {
        if (!this.runs.has(d.id)) this.runs.set(d.id, new Set());
        return this.runs.get(d.id);
    }

    inputs(d) {
        return d.inputs.map((id) => {
            const c = this.components.get(id);
            return !c || noValue.has(c.type) ? null : c.value;
        });
    }

    give(d, data) {
        d.outputs.forEach((id, i) => {
            const c = this.components.get(id), value = data[i];
            if (!c || noValue.has(c.type) || value === undefined) return;
            if (value && typeof value === "object" && value.__type__ === "update") {
                const { __type__, ...props } = value;
                c.set(props);
            } else c.set({ value });
        });
    }

    async run(d, trigger = null, data = null) {
        if (d.connection === "stream") return this.feed(d, trigger, data);
        const running = this.running(d);
        if (running.size && d.trigger_mode !== "multiple") {
            if (d.trigger_mode === "always_last") this.again.set(d.id, [trigger, data]);
            return;
        }
        for (const id of d.cancels ?? []) this.cancel(id);
        const run = { abort: new AbortController(), event: null };
        running.add(run);
        let result;
        try {
            result = d.backend_fn ? await this.ask(d, run, trigger, data) : this.local(d);
        } finally {
            running.delete(run);
        }
        const next = this.again.get(d.id);
        if (next) {
            this.again.delete(d.id);
            this.run(d, ...next);
        }
        await this.after(d, result, trigger);
    }

    /* A function without a server part. */
    local(d) {
        const values = constantsOf(d.js);
        if (values) this.give(d, values);
        else if (d.js) toast({ message: t("jsOnly"), level: "warning" });
        return "success";
    }

    async ask(d, run, trigger, data) {
        const show = this.shower(d);
        show({ stage: "waiting" });
        try {
            const options = { signal: run.abort.signal, event_data: data, trigger_id: trigger };
            if (d.queue === false) {
                const output = await this.client.direct(d.id, this.inputs(d), options);
                this.give(d, output.data);
                this.changed(output);
            } else {
                const call = this.client.call(d.id, this.inputs(d), { ...options, onevent: (id) => { run.event = id; } });
                for await (const m of call) {
                    this.message(d, m, show);
                    if (m.cancelled) {
                        show({ stage: "done" });
                        return "cancelled";
                    }
                }
            }
            show({ stage: "done" });
            if (d.scroll_to_output && d.outputs.length) this.components.get(d.outputs[0])?.element.scrollIntoView({ block: "nearest" });
            return "success";
        } catch (e) {
            show({ stage: e.name === "AbortError" ? "done" : "error" });
            this.tell(e);
            return e.name === "AbortError" ? "cancelled" : "failure";
        }
    }

    message(d, m, show) {
        switch (m.msg) {
        case "estimation": return show({ stage: "waiting", rank: m.rank, size: m.queue_size, eta: m.rank_eta });
        case "process_starts": return show({ stage: "working", eta: m.eta });
        case "progress": return show({ stage: "working", progress: m.progress_data });
        case "log": return toast({ message: m.log, title: m.title, level: m.level, duration: m.duration, visible: m.visible });
        case "process_generating":
        case "process_streaming":
            show({ stage: "generating", progress: null });
            return this.give(d, m.data);
        case "process_completed":
            if (m.data) this.give(d, m.data);
            return this.changed(m.output);
        }
    }

    changed(output) {
        for (const id of output?.changed_state_ids ?? []) this.fire(id, "change");
    }

    /* Tells the outputs (or those named for it) how the function fares. */
    shower(d) {
        const on = (d.show_progress_on ?? d.outputs).map((id) => this.components.get(id)).filter((c) => c?.view && !c.container);
        const run = { show: d.show_progress ?? "full", began: performance.now(), rank: null, size: 0, eta: null, progress: null };
        return (news) => {
            if (run.stage !== "working" && news.stage === "working") run.began = performance.now();
            Object.assign(run, news);
            for (const c of on) c.setStatus({ ...run });
        };
    }

    tell(e) {
        if (e.name === "AbortError" || e instanceof LostError) return;
        if (e instanceof AppError) {
            if (e.status === 401) return;
            if (e.visible) toast({ message: e.status === 503 ? t("queueFull") : e.message, title: e.title, level: "error", duration: e.duration });
            return;
        }
        console.error(e);
        toast({ message: t("failed"), level: "error" });
    }

    after(d, result, trigger) {
        const next = this.dependencies.filter((n) => n.trigger_after === d.id &&
            (result === "success" ? !n.trigger_only_on_failure : !n.trigger_only_on_success));
        return Promise.all(next.map((n) => this.run(n, trigger)));
    }

    /* Ends what runs of a dependency. */
    cancel(id) {
        for (const run of this.runs.get(id) ?? []) run.abort.abort();
        this.again.delete(id);
    }

    /* Streamed input: the first chunk joins, later ones are fed to the event, until it is closed or its time is up. */
    async feed(d, trigger, data) {
        const open = this.feeds.get(d.id);
        if (open) {
            const event = await open.event;
            return event ? this.client.feed(event, d.id, this.inputs(d)) : undefined;
        }
        let known;
        const feed = { event: new Promise((resolve) => { known = resolve; }) };
        this.feeds.set(d.id, feed);
        const show = this.shower(d);
        let result = "success";
        const over = (async () => {
            try {
                for await (const m of this.client.call(d.id, this.inputs(d), { event_data: data, trigger_id: trigger, onevent: known })) this.message(d, m, show);
                show({ stage: "done" });
            } catch (e) {
                show({ stage: "error" });
                this.tell(e);
                result = "failure";
            }
            known(null);
            this.feeds.delete(d.id);
            this.components.get(trigger)?.events.emit("stream_end");
            await this.after(d, result, trigger);
        })();
        await Promise.race([feed.event, over]);
    }

    async closeFeeds(component) {
        for (const d of this.byEvent.get(`${component}/stream`) ?? []) {
            const event = await this.feeds.get(d.id)?.event;
            if (event) await this.client.closeFeed(event).catch(() => {});
        }
    }

    /* How often a component's chunks are wanted, in seconds. */
    streamEvery(component) {
        return Math.min(...(this.byEvent.get(`${component}/stream`) ?? []).map((d) => d.stream_every ?? 0.5), 60);
    }
}

/* The main column that the layout goes into. */
export function mainElement(config) {
    const main = h("main", { class: "main column", id: "main" });
    if (config.fill_width) main.classList.add("wide");
    if (config.fill_height) main.classList.add("tall");
    return main;
}
