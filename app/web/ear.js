/* The microphone, as the ball uses it.
 *
 *   closed --begin()--> opening --> asking --end()--> open --20 s--> closed         hold: end() when one lets go
 *                                     ^ |               ^                            tap: at the second tap, or when one has fallen silent
 *              hands-free: speech ----+ +--- silence ---+  (never closed)            free: speech begins it, silence ends it
 *
 * While one asks, what was said so far is handed over at each pause, so that it can be heard already. */
import { Vad } from "./vad.js";

const BEFORE_S = 0.4;    /* hands-free: kept from before speech was noticed */
const NO_SPEECH_S = 8;   /* tap: as long as one may take before the first word */
const MOST_S = 30;
const KEEP_OPEN_MS = 20000;

export class Ear {
    /* wav(parts, rate) -> File; on: { state(mode or null), level(0..1), sofar(File), question(File), nothing(), interrupt(), problem(error) } */
    constructor({ recorder, wav, on }) {
        Object.assign(this, { recorder, wav, on, asking: null, free: false, opening: null, parts: [], length: 0, careful: false });
        recorder.on("samples", (samples) => this.take(samples));
        recorder.on("ended", () => this.lost());
        document.addEventListener("visibilitychange", () => {
            if (document.visibilityState === "hidden" && !this.asking && !this.free) this.close();
        });
    }

    get seconds() {
        return this.vad ? this.length / this.recorder.rate : 0;
    }

    async open() {
        clearTimeout(this.closing);
        this.opening ??= this.recorder.start().finally(() => { this.opening = null; });
        await this.opening;
        if (!this.vad || this.rate !== this.recorder.rate) this.vad = new Vad({ rate: this.rate = this.recorder.rate });
    }

    /* mode: "hold" or "tap". Resolves when it listens; a release or a second tap may have come before. */
    async begin(mode) {
        if (this.asking) return;
        this.asking = mode;
        this.on.state(this.recorder.state === "recording" ? mode : "opening");
        try {
            await this.open();
        } catch (e) {
            this.asking = null;
            this.close();
            this.on.state(null);
            return this.on.problem(e);
        }
        if (!this.asking) return this.rest(); /* cancelled meanwhile */
        this.start(this.asking, 0);
    }

    start(mode, before) {
        this.keep(before);
        this.asking = mode;
        if (!before) this.vad.begin();
        this.spoke = !!before;
        this.on.state(mode);
    }

    /* Only the last seconds of what was taken. */
    keep(seconds) {
        while (this.parts.length && this.length - this.parts[0].length >= seconds * this.recorder.rate) this.length -= this.parts.shift().length;
    }

    /* A hold that was short is a tap. */
    soften() {
        if (this.asking !== "hold") return;
        this.asking = "tap";
        if (!this.opening) this.on.state("tap");
    }

    take(samples) {
        const r = this.recorder;
        r.parts.length = r.length = 0; /* we keep what we need ourselves: hands-free may go on for hours */
        this.parts.push(samples);
        this.length += samples.length;
        if (!this.vad) return;
        this.vad.extra = this.careful ? 8 : 0;
        for (const what of this.vad.push(samples)) this.happened(what);
        this.on.level(this.asking || this.free ? Math.min(1, Math.max(0, (this.vad.level + 52) / 42)) : 0);
        if (!this.asking) this.keep(BEFORE_S);
        else if (this.seconds > MOST_S) this.end();
        else if (this.asking === "tap" && !this.spoke && this.seconds > NO_SPEECH_S) {
            this.cancel();
            this.on.nothing();
        }
    }

    happened(what) {
        if (what === "start" && this.free && !this.asking) {
            this.on.interrupt();
            this.start("free", BEFORE_S);
        }
        if (!this.asking) return;
        if (what === "start") this.spoke = true;
        if (what === "pause") this.on.sofar(this.wav(this.parts, this.recorder.rate));
        if (what === "end" && this.asking !== "hold") this.end();
    }

    end() {
        if (!this.asking) return;
        const mode = this.asking, endedAt = performance.now();
        if (this.opening) { /* let go before the microphone was open (it may have been asked for): then it is a tap */
            this.soften();
            return;
        }
        this.asking = null;
        const enough = this.seconds >= 0.3 && (mode === "hold" || this.spoke);
        const file = enough ? this.wav(this.parts, this.recorder.rate) : null;
        this.rest();
        this.on.state(null);
        if (file) this.on.question(file, endedAt);
        else this.on.nothing();
    }

    cancel() {
        if (!this.asking) return;
        this.asking = null;
        this.rest();
        this.on.state(null);
    }

    rest() {
        this.parts = [];
        this.length = 0;
        this.vad?.begin();
        clearTimeout(this.closing);
        if (!this.free) this.closing = setTimeout(() => this.close(), KEEP_OPEN_MS);
    }

    async handsFree(on) {
        this.free = on;
        if (!on) return this.asking ? this.cancel() : this.rest();
        try {
            await this.open();
        } catch (e) {
            this.free = false;
            this.close();
            this.on.problem(e);
        }
    }

    lost() {
        this.cancel();
        this.free = false;
        this.close();
    }

    close() {
        clearTimeout(this.closing);
        this.parts = [];
        this.length = 0;
        if (this.recorder.state === "recording") this.recorder.stop().finally(() => this.recorder.release());
        else this.recorder.release();
        this.vad = null;
    }
}
