/* The microphone: samples by an AudioWorklet, one channel, the device's rate, 16-bit WAV. No MediaRecorder: what that makes differs
 * from browser to browser.
 *
 *   closed --prepare()--> ready --start()--> recording --stop()--> ready --release()--> closed
 */
import { emitter } from "./dom.js";
import { t } from "./texts.js";

export function wav(parts, rate) {
    const n = parts.reduce((sum, p) => sum + p.length, 0), out = new DataView(new ArrayBuffer(44 + 2 * n));
    const text = (at, s) => [...s].forEach((ch, i) => out.setUint8(at + i, ch.charCodeAt(0)));
    text(0, "RIFF");
    out.setUint32(4, 36 + 2 * n, true);
    text(8, "WAVEfmt ");
    out.setUint32(16, 16, true);
    out.setUint16(20, 1, true); /* PCM */
    out.setUint16(22, 1, true);
    out.setUint32(24, rate, true);
    out.setUint32(28, 2 * rate, true);
    out.setUint16(32, 2, true);
    out.setUint16(34, 16, true);
    text(36, "data");
    out.setUint32(40, 2 * n, true);
    let at = 44;
    for (const part of parts) {
        for (const x of part) {
            const v = Math.max(-1, Math.min(1, x));
            out.setInt16(at, Math.round(v < 0 ? v * 32768 : v * 32767), true);
            at += 2;
        }
    }
    return new File([out.buffer], "audio.wav", { type: "audio/wav" });
}

/* What went wrong, in words that help. */
export function micProblem(e) {
    if (e?.message === "insecure") return t("micInsecure");
    switch (e?.name) {
    case "NotAllowedError": case "SecurityError": return t("micDenied");
    case "NotFoundError": case "OverconstrainedError": return t("micNone");
    case "NotReadableError": case "AbortError": return t("micBusy");
    default: return t("micFailed", e?.message ?? String(e));
    }
}

export function micPossible() {
    return window.isSecureContext && !!navigator.mediaDevices?.getUserMedia && "AudioWorkletNode" in window;
}

/* Events: "level" (0..1, about 50 a second), "samples" (Float32Array), "chunk" (WAV file, every `every` seconds), "ended" (device gone). */
export class Recorder {
    constructor({ every = 0, constraints = {}, onlevel, onchunk, onsamples } = {}) {
        Object.assign(this, emitter(), { every, constraints });
        this.state = "closed";
        this.parts = [];
        this.fresh = [];
        this.freshLength = 0;
        this.length = 0;
        if (onlevel) this.on("level", onlevel);
        if (onchunk) this.on("chunk", onchunk);
        if (onsamples) this.on("samples", onsamples);
    }

    /* Opens the device ahead of time, so that start() begins at once. Throws what micProblem() puts into words. */
    async prepare() {
        if (this.state !== "closed") return this;
        if (!micPossible()) throw new Error("insecure");
        this.stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true, ...this.constraints } });
        try {
            this.ctx = new AudioContext({ latencyHint: "interactive" });
            this.ctx.resume().catch(() => {});
            await this.ctx.audioWorklet.addModule(new URL("recorder-worklet.js", import.meta.url).href);
            this.source = this.ctx.createMediaStreamSource(this.stream);
        } catch (e) {
            this.release();
            throw e;
        }
        this.stream.getAudioTracks()[0]?.addEventListener("ended", () => {
            this.emit("ended");
            this.release();
        });
        this.state = "ready";
        return this;
    }

    get rate() {
        return this.ctx?.sampleRate ?? 0;
    }

    get seconds() {
        return this.rate ? this.length / this.rate : 0;
    }

    async start() {
        await this.prepare();
        if (this.state === "recording") return;
        this.parts = [];
        this.fresh = [];
        this.length = this.freshLength = 0;
        const node = this.node = new AudioWorkletNode(this.ctx, "m8-recorder", { numberOfInputs: 1, numberOfOutputs: 1 });
        this.done = new Promise((resolve) => {
            node.port.onmessage = ({ data: { samples, last } }) => {
                this.take(samples);
                if (last) resolve();
            };
        });
        this.source.connect(node);
        node.connect(this.ctx.destination); /* silent; some browsers run only what leads somewhere */
        this.state = "recording";
    }

    take(samples) {
        if (!samples.length) return;
        let peak = 0;
        for (const x of samples) peak = Math.max(peak, Math.abs(x));
        this.parts.push(samples);
        this.length += samples.length;
        this.emit("level", Math.min(1, peak));
        this.emit("samples", samples);
        if (!this.every) return;
        this.fresh.push(samples);
        this.freshLength += samples.length;
        if (this.freshLength >= this.every * this.rate) this.chunk();
    }

    chunk() {
        if (!this.freshLength) return;
        const parts = this.fresh;
        this.fresh = [];
        this.freshLength = 0;
        this.emit("chunk", wav(parts, this.rate));
    }

    /* -> the whole recording, audio.wav; null if there was none. */
    async stop() {
        if (this.state !== "recording") return null;
        this.node.port.postMessage("stop");
        await Promise.race([this.done, new Promise((resolve) => setTimeout(resolve, 300))]);
        this.source.disconnect();
        this.node.disconnect();
        this.state = "ready";
        this.chunk();
        return this.length ? wav(this.parts, this.rate) : null;
    }

    /* Lets go of the device; the browser's sign that it listens goes out. */
    release() {
        for (const track of this.stream?.getTracks() ?? []) track.stop();
        this.ctx?.close().catch(() => {});
        this.ctx = this.stream = this.source = null;
        this.state = "closed";
    }
}
