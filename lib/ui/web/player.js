/* Plays sound while it is still arriving: MP3 as one growing answer, or a playlist of AAC segments.
 *
 *   bytes -> Frames -> a window of frames, begun a few frames back -> decodeAudioData -> only the samples that are new -> pieces
 *   pieces -> AudioBufferSourceNodes, each at the exact time of its first sample
 *
 * The last frame is held back until another has come or the stream has ended, for a decoder may need what follows. Decoding goes on
 * at the stream's own rate and the context has that rate too, so nothing is resampled piece by piece and no seam can be heard. */
import { emitter } from "./dom.js";
import { Frames } from "./frames.js";

const contexts = new Map(); /* rate -> AudioContext: browsers allow few, so they are shared and kept */

export function contextFor(rate) {
    let ctx = contexts.get(rate);
    if (!ctx) {
        try {
            ctx = new AudioContext(rate ? { sampleRate: rate, latencyHint: "interactive" } : { latencyHint: "interactive" });
        } catch { /* a rate that this browser does not do */
            ctx = rate ? contextFor(0) : null;
        }
        contexts.set(rate, ctx);
    }
    if (ctx?.state === "suspended") ctx.resume().catch(() => {});
    return ctx;
}

/* Sound may start only after a gesture; each one wakes what is asleep, and the context of the rate that was used last is made ready. */
function usualRate() {
    try {
        return Number(localStorage.getItem("m8-rate")) || 0;
    } catch {
        return 0; /* no storage */
    }
}

function unlock() {
    if (!contexts.size) contextFor(usualRate());
    for (const ctx of contexts.values()) if (ctx?.state === "suspended") ctx.resume().catch(() => {});
}
for (const event of ["pointerdown", "pointerup", "keydown", "touchend"]) addEventListener(event, unlock, { capture: true, passive: true });

function addPeaks(out, data, start, total) {
    for (let i = 0, step = Math.max(1, Math.floor(total / out.length / 60)); i < data.length; i += step) {
        const k = Math.min(out.length - 1, Math.floor((start + i) / total * out.length));
        out[k] = Math.max(out[k], Math.abs(data[i]));
    }
    return out;
}

/* The first context and the first decoder take a while: not when the sound is there already. Decodes four frames of silence. */
let warm = false;
function warmUp() {
    if (!contexts.size) contextFor(usualRate());
    if (warm) return;
    warm = true;
    const silence = new Uint8Array(4 * 156);
    for (let i = 0; i < 4; i++) silence.set([0xff, 0xf3, 0x60, 0xc4], i * 156);
    new OfflineAudioContext(1, 1, 22050).decodeAudioData(silence.buffer).catch(() => {});
}

let mp3Offered = true; /* until a server has said no */

export class StreamPlayer {
    constructor({ lead = 0.05, autoplay = true, volume = 1, rate = 0, client = null } = {}) {
        Object.assign(this, emitter(), { lead, client });
        this.frames = new Frames();
        this.pieces = [];       /* { start, buffer } in samples of the stream */
        this.total = 0;         /* samples decoded */
        this.decoded = 0;       /* frames decoded */
        this.sources = new Set();
        this.wanted = autoplay; /* to be playing, as soon as there is something to play */
        this.started = false;
        this.origin = null;     /* the context's time at which sample 0 would sound */
        this.rest = 0;          /* position in seconds while not playing */
        this.complete = false;
        this.level = volume;
        this.stats = { opened: null, firstByte: null, firstScheduled: null, firstAudible: null, gaps: 0, bytes: 0, segments: 0 };
        this.closing = new AbortController();
        if (rate) contextFor(rate);
    }

    /* url, or a FileData of a stream. */
    async open(file) {
        const name = typeof file === "string" ? file : file.url ?? file.path;
        const url = this.client ? this.client.local(name) : name;
        this.stats.opened = performance.now();
        warmUp();
        try {
            if (!/\/playlist\.m3u8(\?|$)/.test(url)) await this.follow(url);
            else {
                const folder = url.replace(/playlist\.m3u8(\?.*)?$/, "");
                if (!mp3Offered || !(await this.follow(`${folder}audio.mp3`, true))) await this.list(url, folder);
            }
            this.finish();
        } catch (e) {
            if (e.name === "AbortError") return;
            this.finish();
            if (!this.frames.list.length) this.emit("error", e);
        }
    }

    async follow(url, optional = false) {
        const answer = await fetch(url, { credentials: "same-origin", signal: this.closing.signal });
        if (optional && (answer.status === 404 || answer.status === 400)) return mp3Offered = false;
        if (!answer.ok) throw new Error(`${answer.status}`);
        const reader = answer.body.getReader();
        for (;;) {
            const { done, value } = await reader.read();
            if (done) return true;
            this.push(value);
        }
    }

    async list(url, folder) {
        const seen = new Set(), options = { credentials: "same-origin", signal: this.closing.signal };
        for (let idle = 0; idle < 600; idle++) {
            const answer = await fetch(url, { ...options, cache: "no-store" });
            if (!answer.ok) throw new Error(`${answer.status}`);
            const text = await answer.text();
            for (const line of text.split(/\r?\n/)) {
                if (!line || line.startsWith("#") || seen.has(line)) continue;
                seen.add(line);
                const part = await fetch(new URL(line, new URL(folder, document.baseURI)), options);
                if (part.ok) this.push(new Uint8Array(await part.arrayBuffer()));
                this.stats.segments++;
                idle = 0;
            }
            if (text.includes("#EXT-X-ENDLIST")) return;
            await new Promise((resolve) => setTimeout(resolve, 60));
        }
    }

    push(bytes) {
        this.stats.firstByte ??= performance.now();
        this.stats.bytes += bytes.length;
        this.frames.push(bytes);
        this.pump();
    }

    finish() {
        if (this.complete) return;
        this.complete = true;
        this.frames.finish();
        this.pump().then(() => this.emit("complete"));
    }

    pump() {
        this.pumping ??= this.work().finally(() => { this.pumping = null; });
        return this.pumping;
    }

    get rate() {
        return this.frames.format?.rate ?? 0;
    }

    async work() {
        for (;;) {
            const { list } = this.frames, to = list.length, usable = this.complete ? to : to - 1;
            if (usable <= this.decoded || this.closing.signal.aborted) return;
            const from = this.frames.before(this.decoded), end = this.frames.samples; /* more may come while it is decoded */
            const window = (i) => (i < to ? list[i].start : end) - list[from].start;
            let sound;
            try {
                sound = await new OfflineAudioContext(this.frames.format.channels, 1, this.rate).decodeAudioData(this.frames.bytes(from, to));
            } catch (e) {
                if (this.complete && !this.pieces.length) this.emit("error", e);
                if (this.complete) return;
                this.decoded = usable; /* leave it out; the frames after it may be sound */
                continue;
            }
            /* Some decoders leave out their own delay at the beginning; then everything is that much earlier. */
            const short = Math.max(0, window(to) - sound.length);
            const first = window(this.decoded) - short, last = Math.min(window(usable) - short, sound.length);
            this.decoded = usable;
            const begin = Math.max(0, first);
            if (last > begin) this.add(sound, begin, last);
        }
    }

    add(sound, begin, end) {
        const ctx = this.ctx ??= contextFor(this.rate);
        if (!this.gain) {
            this.gain = ctx.createGain();
            this.gain.gain.value = this.level;
            this.gain.connect(ctx.destination);
            try {
                localStorage.setItem("m8-rate", String(this.rate));
            } catch { /* no storage */ }
        }
        const buffer = ctx.createBuffer(sound.numberOfChannels, end - begin, sound.sampleRate);
        for (let ch = 0; ch < sound.numberOfChannels; ch++) buffer.copyToChannel(sound.getChannelData(ch).subarray(begin, end), ch);
        const piece = { start: this.total, buffer };
        this.pieces.push(piece);
        this.total += buffer.length;
        if (this.started && this.wanted) this.schedule(piece);
        else if (this.wanted && (this.complete || this.total >= this.rate / 20)) this.start();
        else if (this.wanted) this.soon ??= setTimeout(() => this.wanted && !this.started && this.start(), 60); /* a scrap would starve at once */
        this.emit("more");
    }

    /* Plays from where it rests. */
    start() {
        this.started = true;
        this.origin = null;
        for (const piece of this.pieces) this.schedule(piece);
        this.emit("state");
        clearInterval(this.watch);
        this.watch = setInterval(() => this.check(), 50);
    }

    schedule(piece) {
        const { ctx } = this, rate = piece.buffer.sampleRate, end = (piece.start + piece.buffer.length) / rate;
        if (end <= this.rest && this.origin === null) return;
        const skip = this.origin === null ? Math.max(0, this.rest - piece.start / rate) : 0;
        const grid = (time) => Math.round(time * ctx.sampleRate) / ctx.sampleRate;
        if (this.origin === null) this.origin = grid(ctx.currentTime + this.lead) - piece.start / rate - skip;
        let when = this.origin + piece.start / rate + skip;
        if (when < ctx.currentTime) { /* it starved: what comes now is late, all else moves with it */
            this.stats.gaps++;
            const late = grid(ctx.currentTime + this.lead) - when;
            this.origin += late;
            when += late;
        }
        const source = ctx.createBufferSource();
        source.buffer = piece.buffer;
        source.connect(this.gain);
        source.start(when, skip);
        this.sources.add(source);
        source.onended = () => {
            this.sources.delete(source);
            source.disconnect();
        };
        if (this.stats.firstScheduled === null) {
            this.stats.firstScheduled = performance.now();
            this.stats.firstAudible = this.stats.firstScheduled + (when - ctx.currentTime) * 1000;
            this.emit("first");
        }
    }

    check() {
        if (this.complete && !this.pumping && this.position >= this.duration && this.duration > 0) {
            this.halt(0);
            this.wanted = false;
            this.emit("state");
            this.emit("ended");
        }
    }

    halt(at) {
        clearInterval(this.watch);
        this.rest = at;
        this.started = false;
        this.origin = null;
        for (const source of this.sources) {
            source.onended = null;
            source.stop();
            source.disconnect();
        }
        this.sources.clear();
    }

    /* Blocked: the browser waits for the visitor's first gesture. */
    get blocked() {
        return this.wanted && !!this.ctx && this.ctx.state !== "running";
    }

    get playing() {
        return this.wanted;
    }

    get duration() {
        return this.rate ? this.total / this.rate : 0;
    }

    get position() {
        if (!this.started || this.origin === null) return this.rest;
        return Math.min(Math.max(this.ctx.currentTime - this.origin, this.rest), this.duration);
    }

    get volume() {
        return this.level;
    }

    set volume(v) {
        this.level = v;
        if (this.gain) this.gain.gain.setTargetAtTime(v, this.ctx.currentTime, 0.01);
    }

    play() {
        this.wanted = true;
        if (this.ctx?.state === "suspended") this.ctx.resume().catch(() => {});
        if (!this.started && this.pieces.length) this.start();
        else this.emit("state");
    }

    pause() {
        this.wanted = false;
        this.halt(this.position);
        this.emit("state");
    }

    seek(seconds) {
        this.halt(Math.min(Math.max(0, seconds), this.duration));
        if (this.wanted && this.pieces.length) this.start();
        this.emit("state");
    }

    /* All of it, once complete; what there is so far, before. */
    blob() {
        return new Blob([this.frames.data.subarray(0, this.frames.length)], { type: this.frames.format?.kind === "aac" ? "audio/aac" : "audio/mpeg" });
    }

    /* n peaks of the samples so far, for drawing. */
    peaks(n) {
        const out = new Float32Array(n);
        for (const { start, buffer } of this.pieces) addPeaks(out, buffer.getChannelData(0), start, this.total);
        return out;
    }

    close() {
        this.closing.abort();
        this.wanted = false;
        this.halt(0);
        this.emit("state");
    }
}

/* The same manners for a whole file, by the browser's own player. */
export class FilePlayer {
    constructor(url, { autoplay = false, loop = false } = {}) {
        Object.assign(this, emitter());
        this.url = url;
        const audio = this.audio = new Audio();
        audio.preload = "metadata";
        audio.loop = loop;
        audio.src = url;
        for (const event of ["play", "pause", "durationchange", "loadedmetadata", "seeked"]) audio.addEventListener(event, () => this.emit("state"));
        audio.addEventListener("ended", () => this.emit("ended"));
        audio.addEventListener("error", () => this.emit("error", new Error(audio.error?.message || audio.error?.code)));
        if (autoplay) this.play();
    }
    get playing() { return !this.audio.paused; }
    get duration() { return Number.isFinite(this.audio.duration) ? this.audio.duration : 0; }
    get position() { return this.audio.currentTime; }
    get volume() { return this.audio.volume; }
    set volume(v) { this.audio.volume = v; }
    get complete() { return true; }
    play() { this.audio.play().catch((e) => e.name !== "AbortError" && this.emit("state")); }
    pause() { this.audio.pause(); }
    seek(s) { this.audio.currentTime = s; }
    close() {
        this.audio.pause();
        this.audio.removeAttribute("src");
    }
    /* Decoded once, for drawing only. */
    async load(n) {
        const answer = await fetch(this.url, { credentials: "same-origin" });
        if (!answer.ok || Number(answer.headers.get("content-length")) > 2e7) return null;
        const sound = await new OfflineAudioContext(1, 1, 22050).decodeAudioData(await answer.arrayBuffer());
        return addPeaks(new Float32Array(n), sound.getChannelData(0), 0, sound.length);
    }
}
