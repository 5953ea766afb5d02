/* One question's way: upload -> generate_response (heard, answered) -> read_response (spoken) -> the voice has ended.
 *
 * The answer's text comes with its first sound and is held until that can be heard. The sound is played by the app's own "Spoken Answer",
 * so that both show the same. After stop() nothing more is told. */
let lead = 0.06; /* s of sound in reserve before the voice begins; where it has stuttered, the next one waits a little longer */

export class Turn {
    /* what: { file } or { text }; on: { heard(text), waiting(rank), note(text), shown(turn), level(0..1), blocked(), failed(error), done(turn) } */
    constructor(app, what, endedAt, on) {
        Object.assign(this, { app, on, endedAt, file: what.file ?? null, question: what.text ?? "", answer: "", player: null, stopped: false });
        this.times = { heard: null, word: null, sound: null };
        this.abort = new AbortController();
        this.spoken = new Promise((resolve) => { this.over = resolve; });
        const [text, speech] = app.page.dependency("read_response").outputs;
        this.parts = { text: app.component(text), speech: app.component(speech), asked: app.component(this.file ? "question" : "typed") };
    }

    since(at = performance.now()) {
        return Math.max(0, Math.round(at - this.endedAt));
    }

    async run() {
        const { file, app } = this, { signal } = this.abort;
        try {
            const value = file ? await app.upload(file, "audio.wav", { signal }) : this.question;
            const ends = await this.follow(file ? "generate_response" : "ask_text", [value], () => {});
            if (ends && (await this.follow(file ? "read_response" : "read_text", [null], (data) => this.take(data)))) {
                if (!this.player) this.show();
                else await this.spoken;
            }
            if (!this.stopped) this.parts.asked?.set({ value });
        } catch (e) {
            if (!this.stopped) this.on.failed(e);
        }
        if (!this.stopped) this.on.done(this);
    }

    /* -> did it end well? */
    async follow(name, data, take) {
        if (this.stopped) return false;
        const options = { signal: this.abort.signal, trigger_id: this.parts.asked?.id ?? null };
        for await (const m of this.app.call(name, data, options)) {
            if (this.stopped || m.cancelled) return false;
            if (m.msg === "log") this.log(m);
            else if (m.msg === "estimation" && m.rank > 0) this.on.waiting(m.rank);
            if (m.data) take(m.data);
        }
        return !this.stopped;
    }

    log({ log, title, level, duration, visible }) {
        if (title === "heard" && visible === false) {
            this.times.heard ??= this.since();
            this.question = log;
            this.on.heard(log);
        } else if (visible !== false) level === "info" ? this.on.note(log) : this.app.toast({ message: log, title, level, duration });
    }

    take([text, sound]) {
        if (text) {
            this.times.word ??= this.since();
            this.answer = text;
        }
        if (!sound?.url || this.player) return;
        this.parts.speech.set({ value: sound });
        const player = this.player = this.parts.speech.player;
        if (!player) return;
        player.lead = lead;
        player.on("ended", this.over);
        player.on("error", this.over);
        if (!player.stats) return this.show(); /* a whole file: the browser plays it */
        player.on("first", () => {
            const at = player.stats.firstAudible;
            if (player.blocked) {
                this.show();
                this.on.blocked();
            } else setTimeout(() => this.show(at), at - performance.now());
            this.meter();
        });
        player.on("complete", () => {
            if (player.stats.gaps) lead = Math.min(0.4, lead * 2);
            if (!player.total) this.over();
            this.bytes = player.frames.data.slice(0, player.frames.length);
            this.on.complete(this);
        });
    }

    show(soundAt = null) {
        if (this.stopped || this.shown) return;
        this.shown = true;
        if (soundAt) this.times.sound = this.since(soundAt);
        this.parts.text?.set({ value: this.answer });
        this.on.shown(this);
    }

    meter() {
        meter(this.player, (level) => this.on.level(level), () => !this.stopped);
    }

    stop() {
        if (this.stopped) return;
        this.stopped = true;
        this.abort.abort();
        if (this.player?.playing) this.player.pause();
        this.over();
    }
}

/* The voice's level, as long as it plays. */
export function meter(player, level, on) {
    if (!player.gain || !player.ctx) return;
    const analyser = player.ctx.createAnalyser();
    analyser.fftSize = 1024;
    player.gain.connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const frame = () => {
        if (!player.playing || !on()) return analyser.disconnect();
        analyser.getFloatTimeDomainData(samples);
        level(Math.min(1, Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length) * 4.5));
        requestAnimationFrame(frame);
    };
    frame();
}
