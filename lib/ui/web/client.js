/* The protocol: uploads, joining the queue, the one stream of messages of this session, cancelling. No elements here.
 *
 *   call() --join--> server        stream: opened by the first call, read until "close_stream" or the last open event is done
 *      ^                               |
 *      +------- its own messages <-----+   a message whose event is not known yet (join not answered) waits in `early`
 */
import { applyData } from "./diff.js";

export class AppError extends Error {
    constructor(output, title) {
        super(output?.error ?? "");
        this.name = "AppError";
        this.title = title ?? output?.title ?? null;
        this.duration = output?.duration === undefined ? 10 : output.duration;
        this.visible = output?.visible ?? false;
        this.known = typeof output?.error === "string"; /* false: the app told nothing about it */
    }
}

export class LostError extends Error {
    constructor(message) {
        super(message);
        this.name = "LostError";
    }
}

function randomName() {
    const letters = "abcdefghijklmnopqrstuvwxyz0123456789";
    return Array.from(crypto.getRandomValues(new Uint8Array(20)), (b) => letters[b % 36]).join("");
}

/* Server-sent events of a fetched body: yields what follows "data:", joined over lines. */
export async function* events(body) {
    const reader = body.getReader(), decoder = new TextDecoder();
    let text = "";
    try {
        for (;;) {
            const { done, value } = await reader.read();
            text += done ? decoder.decode() : decoder.decode(value, { stream: true });
            for (let end; (end = text.search(/\r?\n\r?\n/)) >= 0;) {
                const block = text.slice(0, end);
                text = text.slice(end).replace(/^\r?\n\r?\n/, "");
                const data = block.split(/\r?\n/).filter((l) => l.startsWith("data:")).map((l) => l.slice(5).replace(/^ /, ""));
                if (data.length) yield data.join("\n");
            }
            if (done) return;
        }
    } finally {
        reader.cancel().catch(() => {});
    }
}

/* A queue that a `for await` empties. */
class Inbox {
    items = [];
    wake = null;
    put(item) {
        this.items.push(item);
        this.wake?.();
    }
    async take() {
        while (!this.items.length) await new Promise((resolve) => { this.wake = resolve; });
        return this.items.shift();
    }
}

export class Client {
    constructor(config) {
        this.config = config;
        /* Relative to the document, so that a page behind any proxy finds its server; the config's root is for what others are told. */
        this.base = new URL(".", document.baseURI).href.replace(/\/$/, "") + (config.api_prefix ?? "");
        this.session = randomName();
        this.open = new Map(); /* event id -> { inbox, fn_index } */
        this.early = new Map();
        this.joining = 0;
        this.reading = null;
        this.onlost = () => {};
        this.onsignedout = () => {};
    }

    async request(path, options = {}) {
        let answer;
        try {
            answer = await fetch(`${this.base}/${path}`, { credentials: "same-origin", ...options });
        } catch (e) {
            if (e.name === "AbortError") throw e;
            this.onlost();
            throw new LostError(e.message);
        }
        if (answer.status === 401) this.onsignedout();
        return answer;
    }

    post(path, body, options) {
        return this.request(path, { method: "POST", headers: { "content-type": "application/json", "x-gradio-user": "app" },
            body: JSON.stringify(body), ...options });
    }

    async refuse(answer) {
        let { detail } = await answer.json().catch(() => ({}));
        if (Array.isArray(detail)) detail = detail.map((d) => d.msg ?? d.message).join("; ");
        const error = new AppError({ error: typeof detail === "string" ? detail : `${answer.status} ${answer.statusText}`, visible: true });
        error.status = answer.status;
        return error;
    }

    /* The server says addresses as it thinks it is called; this page reached it in a way of its own, which works. */
    local(url) {
        const api = (this.config.root ?? "") + (this.config.api_prefix ?? "");
        return typeof url === "string" && api && url.startsWith(`${api}/`) ? this.base + url.slice(api.length) : url;
    }

    fileUrl(path) {
        return `${this.base}/file=${path.split("/").map(encodeURIComponent).join("/")}`;
    }

    /* Uploads one blob or several files; onprogress(bytes so far, all) while they go. */
    async upload(files, { signal, onprogress, stream = false } = {}) {
        const form = new FormData(), list = Array.isArray(files) ? files : [files];
        let all = 0;
        for (const file of list) {
            form.append("files", file, file.name ?? "blob");
            all += file.size;
        }
        const id = onprogress ? randomName() : null;
        const watching = new AbortController();
        const going = this.request(`upload${id ? `?upload_id=${id}` : ""}`, { method: "POST", body: form, signal });
        if (id) this.watchUpload(id, all, onprogress, watching.signal).catch(() => {});
        let answer;
        try {
            answer = await going;
        } finally {
            watching.abort();
        }
        if (!answer.ok) throw await this.refuse(answer);
        const paths = await answer.json();
        return paths.map((path, i) => ({
            path, url: this.fileUrl(path), orig_name: list[i].name ?? "blob", size: list[i].size, mime_type: list[i].type || null,
            is_stream: stream, meta: { _type: "gradio.FileData" },
        }));
    }

    async watchUpload(id, all, onprogress, signal) {
        const answer = await fetch(`${this.base}/upload_progress?upload_id=${id}`, { signal, credentials: "same-origin" });
        if (!answer.ok) return;
        let done = 0;
        for await (const data of events(answer.body)) {
            const m = JSON.parse(data);
            if (m.msg === "done") return;
            if (m.msg === "update") onprogress(Math.min(done += m.chunk_size, all), all);
        }
    }

    /* Calls a function. Yields its messages; those with values have them whole in `data`. Throws AppError when it fails; a cancelled
     * call just ends, with a message whose `cancelled` is true. */
    async *call(fn_index, data, { signal, event_data = null, trigger_id = null, onevent } = {}) {
        this.joining++;
        let event = null;
        try {
            const answer = await this.post("queue/join?", { data, event_data, fn_index, trigger_id, session_hash: this.session });
            if (!answer.ok) throw await this.refuse(answer);
            event = (await answer.json()).event_id;
        } finally {
            this.joining--;
        }
        const inbox = new Inbox();
        this.open.set(event, { inbox, fn_index });
        for (const m of this.early.get(event) ?? []) inbox.put(m);
        this.early.delete(event);
        this.read();
        onevent?.(event);
        const abort = () => this.cancel(event, fn_index);
        signal?.addEventListener("abort", abort);
        if (signal?.aborted) abort();
        let last = null;
        try {
            for (;;) {
                const m = await inbox.take();
                if (m instanceof Error) throw m;
                if (m.msg === "process_generating" || m.msg === "process_streaming") {
                    if (m.success === false) throw new AppError(m.output, m.title);
                    last = m.data = m.msg === "process_streaming" ? m.output.data : applyData(last, m.output.data);
                } else if (m.msg === "process_completed") {
                    this.open.delete(event);
                    if (m.success === false) throw new AppError(m.output, m.title);
                    if (m.output.data) m.data = m.output.data;
                    else m.cancelled = true;
                }
                yield m;
                if (m.msg === "process_completed") return;
            }
        } finally {
            signal?.removeEventListener("abort", abort);
            if (this.open.delete(event)) this.cancel(event, fn_index); /* the caller stopped listening */
        }
    }

    /* A function that does without the queue: one request, one answer. */
    async direct(fn_index, data, { signal, event_data = null, trigger_id = null } = {}) {
        const answer = await this.post("run/predict", { data, event_data, fn_index, trigger_id, session_hash: this.session }, { signal });
        if (answer.status === 500) throw new AppError(await answer.json().catch(() => ({})));
        if (!answer.ok) throw await this.refuse(answer);
        return answer.json();
    }

    async cancel(event, fn_index) {
        try {
            await this.post("cancel", { session_hash: this.session, fn_index, event_id: event });
        } catch { /* the stream's end tells it */ }
    }

    /* Streamed input: another chunk for an event that runs, and its end. */
    async feed(event, fn_index, data) {
        const answer = await this.post(`stream/${event}`, { data, fn_index, session_hash: this.session });
        return answer.ok;
    }

    async closeFeed(event) {
        await this.post(`stream/${event}/close`, {});
    }

    async read() {
        if (this.reading) return;
        const me = this.reading = {};
        const over = () => {
            if (this.reading === me) this.reading = null;
        };
        try {
            const answer = await this.request(`queue/data?session_hash=${this.session}`);
            if (!answer.ok) throw await this.refuse(answer);
            for await (const data of events(answer.body)) {
                const m = JSON.parse(data);
                if (m.msg === "close_stream") over(); /* the answer's end follows; a new call need not wait for it */
                if (m.msg === "unexpected_error") throw new LostError(m.message ?? m.msg);
                if (m.event_id && m.msg !== "heartbeat") this.deliver(m);
            }
        } catch (e) {
            if (this.reading === me) this.fail(e instanceof AppError ? e : new LostError(e.message));
        }
        if (this.reading && this.reading !== me) return;
        over();
        /* A join may have been answered while the stream was closing, and a stream that breaks off leaves events open. */
        if (this.open.size) {
            const waiting = [...this.open.keys()];
            await new Promise((resolve) => setTimeout(resolve, 50));
            if (waiting.some((id) => this.open.has(id))) this.read();
        }
    }

    deliver(m) {
        const to = this.open.get(m.event_id);
        if (to) to.inbox.put(m);
        else if (this.joining) {
            if (!this.early.has(m.event_id)) this.early.set(m.event_id, []);
            this.early.get(m.event_id).push(m);
        }
    }

    fail(error) {
        const open = [...this.open.values()];
        this.open.clear();
        for (const { inbox } of open) inbox.put(error);
        if (error instanceof LostError) this.onlost();
    }

    /* Kept open as long as the page lives; its end is how the server knows that the visitor has gone. */
    async heartbeat() {
        for (;;) {
            try {
                const answer = await this.request(`heartbeat/${this.session}`);
                if (!answer.ok) return;
                for await (const _ of events(answer.body)) { /* ALIVE */ }
                if ((await this.appId()) === null) this.onlost();
            } catch {
                await new Promise((resolve) => setTimeout(resolve, 2000));
            }
        }
    }

    async appId() {
        try {
            const answer = await fetch(`${this.base}/app_id`, { credentials: "same-origin", cache: "no-store" });
            return answer.ok ? (await answer.json()).app_id : null;
        } catch {
            return null;
        }
    }
}
