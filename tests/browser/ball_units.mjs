/* The ball's parts that need no browser: who speaks, text in the die, the kept answers.   usage: node ball_units.mjs
 * Recordings are decoded by ffmpeg. Prints "ok NAME", "not ok NAME: why", "skip NAME: why". */
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { fit, pieces } from "../../app/web/fit.js";
import { Kept } from "../../app/web/kept.js";
import { Vad } from "../../app/web/vad.js";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
let failed = 0;
function test(name, fn) {
    try {
        console.log(fn() === "skip" ? `skip ${name}: ffmpeg is not here` : `ok ${name}`);
    } catch (e) {
        failed++;
        console.log(`not ok ${name}: ${e.message}`);
    }
}
function check(ok, what) {
    if (!ok) throw new Error(what);
}

/* ---- who speaks */

const RATE = 16000;
let seed = 7;
const noise = (db) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return (seed / 1073741824 - 1) * Math.sqrt(3) * 10 ** (db / 20); /* uniform: its root mean square is `db` */
};
const seconds = (s, f) => Float32Array.from({ length: Math.round(s * RATE) }, (_, i) => f(i / RATE));
const join = (...parts) => Float32Array.from(parts.flatMap((p) => [...p]));
/* Vowels of 180 ms and dips of 60 ms between them. */
const speech = (s, db = -20) => seconds(s, (t) => (t % 0.24 < 0.18 ? Math.SQRT2 * 10 ** (db / 20) * Math.sin(2 * Math.PI * 160 * t) * (0.7 + 0.3 * Math.sin(2 * Math.PI * 2100 * t)) : 0) + noise(-60));
const quiet = (s, db = -60) => seconds(s, () => noise(db));

/* -> [[what, when in s], ...], the samples given in pieces as the browser gives them. */
function listen(samples, options = {}) {
    const vad = new Vad({ rate: RATE, ...options }), out = [], step = options.step ?? 301;
    if (options.careful) vad.extra = 8;
    for (let at = 0; at < samples.length; at += step) for (const what of vad.push(samples.subarray(at, at + step))) out.push([what, (at + step) / RATE]);
    return out;
}
const names = (news) => news.map(([what]) => what).join(" ");
const near = (got, want, by, what) => check(Math.abs(got - want) <= by, `${what}: expected ${want.toFixed(2)} s, got ${got?.toFixed(2)} s`);

test("vad/silence", () => {
    check(listen(new Float32Array(5 * RATE)).length === 0, "speech in nothing");
    for (const db of [-70, -55, -42]) check(listen(quiet(5, db)).length === 0, `speech in noise of ${db} dB`);
});
test("vad/speech", () => {
    const got = listen(join(quiet(1), speech(1.5), quiet(1.5)));
    check(names(got) === "start pause end", `got ${names(got)}`);
    near(got[0][1], 1.07, 0.05, "start");
    near(got[1][1], 2.5 + 0.2, 0.08, "pause");
    near(got[2][1], 2.5 + 0.9, 0.08, "end");
});
test("vad/at once", () => { /* one speaks before there was any silence to learn from */
    const got = listen(join(speech(2), quiet(1.2)));
    check(names(got) === "start pause end", `got ${names(got)}`);
    near(got[0][1], 0.08, 0.04, "start");
});
test("vad/pauses", () => {
    const got = listen(join(quiet(0.5), speech(1), quiet(0.4), speech(1), quiet(0.1), speech(0.6), quiet(1)));
    check(names(got) === "start pause resume pause end", `got ${names(got)}`);
});
test("vad/long speech", () => check(names(listen(join(quiet(0.5), speech(20), quiet(1.2)))) === "start pause end", "not one stretch"));
test("vad/click", () => {
    const click = seconds(0.03, () => noise(-10));
    check(listen(join(quiet(1), click, quiet(1), click, quiet(0.5))).length === 0, "a click is speech");
});
test("vad/a fan begins", () => {
    const got = listen(join(quiet(1), quiet(5, -36)));
    check(!got.length || got.at(-1)[0] === "end" && got.at(-1)[1] < 4.5, `it goes on as speech: ${JSON.stringify(got)}`);
});
test("vad/over noise", () => {
    const fan = quiet(6, -38), talk = join(quiet(3), speech(1.5, -18), quiet(1.5));
    const got = listen(talk.map((x, i) => x + fan[i]));
    check(names(got) === "start pause end", `got ${names(got)}`);
    near(got[0][1], 3.07, 0.05, "start");
    near(got[2][1], 4.5 + 0.9, 0.1, "end");
});
test("vad/careful", () => { /* while the ball speaks, its own voice must be louder than what is left of it in the microphone */
    const echo = join(quiet(1), speech(2, -43), quiet(1));
    check(names(listen(echo)) === "start pause end", "the soft voice is not heard at all");
    check(listen(echo, { careful: true }).length === 0, "what is left of the ball's own voice is taken for speech");
    check(names(listen(join(quiet(1), speech(2), quiet(1)), { careful: true })) === "start pause end", "speaking over the answer is not heard");
});
test("vad/the size of pieces does not matter", () => {
    const sound = join(quiet(0.5), speech(1), quiet(1));
    const got = [128, 301, 320, 4096].map((step) => names(listen(sound, { step })));
    check(new Set(got).size === 1, got.join(" | "));
});

function decode(path) {
    const raw = execFileSync("ffmpeg", ["-v", "error", "-i", path, "-f", "f32le", "-ac", "1", "-ar", String(RATE), "-"], { maxBuffer: 1e8 });
    return new Float32Array(raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.length - raw.length % 4));
}
/* Where the speech really is: the frames within 20 dB of the loudest: the rooms were 25 dB softer, or more. */
function truth(x) {
    const n = Math.floor(x.length / 320), db = Array.from({ length: n }, (_, i) => 10 * Math.log10(x.subarray(i * 320, i * 320 + 320).reduce((s, v) => s + v * v, 0) / 320 + 1e-12));
    const top = Math.max(...db), loud = db.map((d) => d > top - 20);
    return [loud.indexOf(true) * 0.02, (loud.lastIndexOf(true) + 1) * 0.02];
}
function recording(path) {
    let clean;
    try {
        clean = decode(path);
    } catch (e) {
        if (e.code === "ENOENT") return "skip";
        throw e;
    }
    const [from, to] = truth(clean);
    let softest = Infinity;
    for (let at = 0; at + 1600 <= clean.length; at += 320) softest = Math.min(softest, clean.subarray(at, at + 1600).reduce((sum, x) => sum + x * x, 1e-7));
    const room = quiet(1.2, 10 * Math.log10(softest / 1600)); /* the room goes on after it */
    const sound = join(clean, room), nobody = /nobody/.test(path);
    for (const [how, f] of [["clean", (x) => x + noise(-66)], ["soft", (x) => x * 0.25 + noise(-66)], ["in noise", (x) => x + noise(-48)]]) {
        const got = listen(sound.map(f));
        if (nobody) {
            check(got.length === 0, `${how}: somebody speaks: ${names(got)}`);
            continue;
        }
        check(got[0]?.[0] === "start", `${how}: nobody speaks`);
        near(got[0][1], from - 0.04, 0.25, `${how}: start`); /* breath comes first */
        check(got.at(-1)[0] === "end", `${how}: it does not end`);
        near(got.at(-1)[1], to + 0.9, 0.3, `${how}: end`);
    }
}
const audio = here("../data/audio/");
for (const path of [here("../../data/question.webm"), ...readdirSync(audio).filter((f) => !f.endsWith(".txt")).map((f) => audio + f)])
    test(`vad/${path.split("/").at(-1)}`, () => recording(path));

/* ---- text in the die */

const width = (text) => [...text].reduce((sum, ch) => sum + (/[\u3000-\u9fff]/.test(ch) ? 1 : ch === " " ? 0.3 : 0.6), 0);
const die = { width: 206, height: 178, leading: 1.16, pad: 3 };
const long = "The river that asks the mountain for its name will learn only the echo of its own patience, for the stone remembers what water forgets, " +
    "and those who wait beside the ford shall cross it dry-shod when the season of small fears has passed into long shadows and quiet lamps.";
function inside({ lines, size }) {
    for (const { text, y } of lines) {
        const room = die.width * (1 - (y + size * die.leading / 2) / die.height);
        check(y - size / 2 > 0 && width(text) * size <= room, `“${text}” sticks out`);
    }
}
test("fit/every text lies inside, whole", () => {
    for (const text of ["Yes.", "Foolish questions get foolish answers.", "What is seen in haste is seen twice.", long, "a", "incomprehensibilities are"]) {
        const got = fit(text, width, die);
        inside(got);
        check(got.lines.map((l) => l.text).join(" ") === text, `words are lost: ${got.lines.map((l) => l.text).join("|")}`);
    }
});
test("fit/short text is large", () => {
    check(fit("Yes.", width, { ...die, most: 38 }).size > 30, "Yes. is small");
    check(fit(long, width, die).size >= 6.5, "the longest answer cannot be read");
});
test("fit/chinese", () => {
    const text = "欲速则不达，见小利则大事不成。千里之行，始于足下。", got = fit(text, width, die);
    inside(got);
    check(got.lines.length > 1 && got.lines.map((l) => l.text).join("") === text, got.lines.map((l) => l.text).join("|"));
    check(pieces(text).every((p) => !/^[，。]/.test(p.text)), "a line could begin with a full stop");
});
test("fit/too long for any size is cut", () => {
    const got = fit(long.repeat(20), width, die);
    inside(got);
    check(got.lines.at(-1).text.endsWith("…"), "it does not say that it was cut");
});
test("fit/nothing", () => check(fit("  ", width, die).lines.length === 0, "lines of nothing"));

/* ---- the kept answers */

function storage(full = false) {
    const map = new Map();
    return { map, getItem: (k) => map.get(k) ?? null, removeItem: (k) => map.delete(k), setItem(k, v) {
        if (full) throw new DOMException("full", "QuotaExceededError");
        map.set(k, v);
    } };
}
const entry = (i) => ({ at: i, question: `q${i}`, answer: `a${i}`, heard: 1, word: 2, sound: 3, bytes: new Uint8Array(9) });
test("kept/50 at most, the newest first, sound stays out of the storage", () => {
    const s = storage(), kept = new Kept(s);
    for (let i = 0; i < 60; i++) kept.add(entry(i));
    check(kept.list.length === 50 && kept.list[0].answer === "a59" && kept.list[0].bytes.length === 9, "the list");
    const again = new Kept(s);
    check(again.list.length === 50 && again.list[0].answer === "a59" && again.list[0].sound === 3 && !("bytes" in again.list[0]), "after a reload");
    again.clear();
    check(s.map.size === 0 && new Kept(s).list.length === 0, "it was not forgotten");
});
test("kept/what stands in the storage is not believed", () => {
    for (const text of ["", "{", "null", "7", `[1,null,{"answer":5},{"answer":"x","heard":"<b>","question":[1]}]`, "[[[[]]]]"]) {
        const s = storage();
        s.map.set("magic8-answers", text);
        for (const e of new Kept(s).list) check(e.answer === "x" && e.heard === null && e.question === "", `${text}: ${JSON.stringify(e)}`);
    }
});
test("kept/without storage, or a full one", () => {
    for (const s of [null, undefined, storage(true)]) {
        const kept = new Kept(s);
        kept.add(entry(1));
        check(kept.list.length === 1, "not kept");
    }
});

process.exitCode = failed ? 1 : 0;
