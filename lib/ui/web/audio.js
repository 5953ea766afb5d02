/* The Audio component: a place to upload or record, a player for files and for streams, a microphone that streams. */
import { define } from "./component.js";
import { clock, h, icon, iconButton, setIcon } from "./dom.js";
import { FilePlayer, StreamPlayer } from "./player.js";
import { micPossible, micProblem, Recorder } from "./recorder.js";
import { t } from "./texts.js";
import { toast } from "./toast.js";
import { dropArea } from "./upload.js";

function drawWave(canvas, peaks, part) {
    const wide = canvas.clientWidth, high = canvas.clientHeight, dots = devicePixelRatio || 1;
    if (!wide || !high) return;
    canvas.width = wide * dots;
    canvas.height = high * dots;
    const g = canvas.getContext("2d"), style = getComputedStyle(canvas), n = peaks.length, step = canvas.width / n;
    const rtl = style.direction === "rtl", top = Math.max(0.02, ...peaks);
    for (let i = 0; i < n; i++) {
        const tall = Math.max(2 * dots, peaks[i] / top * canvas.height * 0.92);
        g.fillStyle = style.getPropertyValue(i / n < part ? "--accent" : "--wave");
        g.beginPath();
        g.roundRect?.((rtl ? n - 1 - i : i) * step + step * 0.2, (canvas.height - tall) / 2, step * 0.6, tall, step * 0.3);
        g.fill();
    }
}

const bars = (el) => Math.max(24, Math.min(160, Math.floor((el.clientWidth || 320) / 5)));

/* Play and pause, position over a picture of the sound, time, volume. Works for both kinds of players. */
export function transport(player, { tools = [], label } = {}) {
    const canvas = h("canvas", { class: "wave", "aria-hidden": "true" });
    const seek = h("input", { type: "range", class: "seek", min: "0", max: "1000", step: "1", value: "0", "aria-label": t("position") });
    const play = iconButton("play", t("play"), () => (player.playing && !player.blocked ? player.pause() : player.play()), "play-button");
    const now = h("span", { class: "time" }, "0:00");
    const volume = h("input", { type: "range", class: "volume", min: "0", max: "1", step: "0.05", value: String(player.volume), "aria-label": t("volume") });
    let loud = player.volume || 1;
    const mute = iconButton("volume", t("mute"), () => setVolume(player.volume ? 0 : loud));
    const setVolume = (v) => {
        player.volume = v;
        volume.value = String(v);
        volume.style.setProperty("--part", `${v * 100}%`);
        if (v) loud = v;
        setIcon(mute, v ? "volume" : "mute", t(v ? "mute" : "unmute"));
    };
    volume.addEventListener("input", () => setVolume(Number(volume.value)));
    let dragging = false, peaks = null, shownAt = 0, stopped = false;
    seek.addEventListener("pointerdown", () => { dragging = true; });
    seek.addEventListener("change", () => { dragging = false; });
    seek.addEventListener("input", () => {
        player.seek(Number(seek.value) / 1000 * player.duration);
        show();
    });
    const show = () => {
        const { duration, position } = player, part = duration ? position / duration : 0;
        if (!dragging) seek.value = String(Math.round(part * 1000));
        seek.setAttribute("aria-valuetext", `${clock(position)} / ${clock(duration)}`);
        now.textContent = `${clock(position)} / ${clock(duration)}${player.complete ? "" : "+"}`;
        const on = player.playing && !player.blocked;
        if (play.dataset.on !== String(on)) {
            play.dataset.on = String(on);
            setIcon(play, on ? "pause" : "play", t(on ? "pause" : "play"));
        }
        if (peaks) drawWave(canvas, peaks, part);
    };
    const frame = (at) => {
        if (stopped || !el.isConnected) return void (looping = false);
        if (at - shownAt > 60) {
            shownAt = at;
            show();
        }
        if (player.playing) requestAnimationFrame(frame);
        else looping = false;
    };
    let looping = false;
    const loop = () => {
        show();
        if (looping || !player.playing) return;
        looping = true;
        requestAnimationFrame(frame);
    };
    player.on("state", loop);
    const el = h("div", { class: "transport", role: "group", "aria-label": label },
        h("div", { class: "wave-box" }, canvas, seek), h("div", { class: "controls" }, play, now, h("span", { class: "push" }), mute, volume, ...tools));
    const measure = () => {
        if (player.peaks) peaks = player.total ? player.peaks(bars(canvas)) : new Float32Array(40);
        loop();
    };
    let pending = false;
    player.on("more", () => {
        if (pending) return;
        pending = true;
        setTimeout(() => {
            pending = false;
            measure();
        }, 80);
    });
    requestAnimationFrame(() => {
        setVolume(player.volume);
        if (player.load) player.load(bars(canvas)).then((p) => { peaks = p; }, () => {}).then(show);
        else measure();
        loop();
    });
    new ResizeObserver(() => (player.peaks ? measure() : show())).observe(canvas);
    return Object.assign(el, { stop() { stopped = true; } });
}

function playerView(c, file, clear) {
    const client = c.page.client, stream = file.is_stream === true;
    const player = stream ? new StreamPlayer({ client, autoplay: c.props.autoplay === true }) : new FilePlayer(client.local(file.url), { autoplay: c.props.autoplay === true, loop: c.props.loop });
    const name = (file.orig_name ?? "audio").replace(/\.[^.]*$/, "");
    const tools = [];
    if ((c.props.buttons ?? ["download"]).includes("download")) {
        tools.push(iconButton("download", t("download"), () => {
            const url = stream ? URL.createObjectURL(player.blob()) : client.local(file.url);
            h("a", { href: url, download: stream ? `${name}.${player.frames.format?.kind === "aac" ? "aac" : "mp3"}` : file.orig_name ?? "audio" }).click();
            if (stream) setTimeout(() => URL.revokeObjectURL(url), 10000);
        }));
    }
    if (clear) tools.push(iconButton("close", t("clear"), clear));
    const el = transport(player, { tools, label: c.props.label });
    let was = false;
    player.on("state", () => {
        if (player.playing !== was) c.trigger((was = player.playing) ? "play" : "pause");
    });
    player.on("ended", () => c.trigger("stop"));
    player.on("error", (e) => toast({ message: t("playFailed", e?.message ?? ""), level: "error" }));
    if (stream) player.open(file);
    c.player = player;
    return { el, gone() {
        el.stop();
        player.close();
        c.player = null;
    } };
}

/* A button that records, a meter, the time. done(file) gets the WAV; or, streaming, each chunk goes to fed(file). */
function microphone(c, { done, fed }) {
    const recorder = c.recorder = new Recorder({ every: fed ? c.page.streamEvery(c.id) : 0 });
    const words = h("span", {}, t("record")), level = h("div", { class: "meter-fill" });
    const meter = h("div", { class: "meter", role: "meter", "aria-label": t("level"), "aria-valuemin": "0", "aria-valuemax": "100" }, level);
    const note = h("div", { class: "note mic-note", role: "status" });
    const button = h("button", { type: "button", class: "button record", "aria-pressed": "false" }, icon("mic"), words);
    const el = h("div", { class: "microphone" }, button, meter, note);
    const show = (on) => {
        el.classList.toggle("on", on);
        button.setAttribute("aria-pressed", String(on));
        button.replaceChildren(icon(on ? "stop" : "mic"), words);
        words.textContent = t(on ? "stop" : "record");
        button.setAttribute("aria-label", t(on ? "stopRecording" : "record"));
        if (!on) level.style.transform = "scaleX(0)";
    };
    if (!micPossible()) {
        note.textContent = t("micInsecure");
        button.disabled = true;
    }
    let shown = 0, smooth = 0;
    recorder.on("level", (v) => {
        smooth = Math.max(v, smooth * 0.85);
        level.style.transform = `scaleX(${Math.min(1, Math.sqrt(smooth))})`;
        meter.setAttribute("aria-valuenow", String(Math.round(smooth * 100)));
        if (Math.floor(recorder.seconds) !== shown) note.textContent = t("recording", clock(shown = Math.floor(recorder.seconds)));
    });
    let sending = Promise.resolve();
    recorder.on("chunk", (file) => {
        sending = sending.then(() => fed(file)).catch((e) => c.page.tell(e));
    });
    const start = async () => {
        button.disabled = true;
        try {
            await recorder.start();
            note.textContent = t("recording", clock(shown = 0));
            show(true);
            c.trigger("start_recording");
        } catch (e) {
            note.textContent = micProblem(e);
            recorder.release();
        }
        button.disabled = false;
    };
    const stop = async () => {
        button.disabled = true;
        show(false);
        const file = await recorder.stop();
        recorder.release();
        note.textContent = "";
        await sending;
        if (fed) await c.page.closeFeeds(c.id);
        button.disabled = false;
        if (done && file) await done(file);
        else c.trigger("stop_recording");
    };
    button.addEventListener("click", () => (recorder.state === "recording" ? stop() : start()));
    recorder.on("ended", () => recorder.state === "recording" && stop());
    const off = c.on("stream_end", () => recorder.state === "recording" && stop());
    return Object.assign(el, { gone() {
        off();
        recorder.release();
        c.recorder = null;
    } });
}

define("audio", (c) => {
    const body = h("div", { class: "audio" }), sources = c.props.sources ?? ["upload", "microphone"];
    let now = null, shown;
    const show = (file) => {
        if (now && file?.is_stream && shown?.url === file.url) return; /* the same stream goes on */
        now?.gone?.();
        shown = file;
        now = null;
        const streamsIn = c.interactive && c.props.streaming && c.has("stream");
        if (file?.url && !streamsIn) {
            now = playerView(c, file, c.interactive ? () => {
                c.input(null, "clear", "input");
                show(null);
            } : null);
            return body.replaceChildren(now.el);
        }
        if (!c.interactive || (c.props.streaming && !streamsIn)) return body.replaceChildren(h("div", { class: "empty" }, icon("music"), h("span", {}, t("empty"))));
        const parts = [];
        const give = (file, ...events) => {
            c.input(file, ...events);
            show(file);
        };
        if (sources.includes("upload") && !streamsIn) parts.push(dropArea(c, { types: ["audio"], name: "music", done: ([f]) => give(f, "upload", "input") }));
        if (sources.includes("microphone")) {
            const upload = (wav, stream) => c.page.client.upload(wav, { stream }).then(([f]) => f);
            now = microphone(c, streamsIn ? { fed: async (wav) => {
                c.props.value = await upload(wav, true);
                await c.trigger("stream");
            } } : { done: async (wav) => {
                try {
                    give(await upload(wav, false), "stop_recording", "input");
                } catch (e) {
                    c.page.tell(e);
                }
            } });
            parts.push(now);
        }
        body.replaceChildren(...parts);
    };
    show(c.value);
    return { body, group: true, value: show, gone: () => now?.gone?.() };
});
