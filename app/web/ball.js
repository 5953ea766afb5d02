/* The magic 8 ball's own view of its app. The parts below it are the app's, and go on working; see doc/page.md for `app`.
 *
 *   idle --hold, tap, space, speech--> listening --end--> thinking --the voice begins--> speaking --> idle, the answer in the window
 *     ^---------------- Esc ---------------+---------------- Esc ----------+------- Esc -----'     a new question ends the old one */
import { app } from "../assets/app.js";
import { wav } from "../assets/recorder.js";
import { Ear } from "./ear.js";
import { Kept } from "./kept.js";
import { Look } from "./look.js";
import { meter, Turn } from "./turn.js";
import { words } from "./words.js";

for (const [lang, table] of Object.entries(words)) app.texts.add(lang, table);
const { h, icon, t } = app;
const READABLE = 13; /* letters in the window smaller than this, in pixels: the answer is written below it, too */
const TAP_MS = 300;

let storage = null;
try {
    storage = window.localStorage;
} catch { /* forbidden: nothing is kept beyond this visit */ }

await app.ready;

/* ---- the elements */

const status = h("p", { class: "b-status", role: "status", id: "ball-status" });
const caption = h("p", { class: "b-caption offscreen", "aria-live": "polite", dir: "auto" });
const heard = h("p", { class: "b-heard", dir: "auto" });
const models = h("ul", { class: "b-models", hidden: true });
const problem = h("p", { class: "b-problem", role: "status", hidden: true });
const ball = h("button", { type: "button", class: "b-ball", id: "ball", "aria-describedby": "ball-status" });
const free = h("button", { type: "button", class: "b-free", role: "switch", "aria-checked": "false" }, h("span", { class: "b-track" }), h("span", { class: "b-free-words" }));
const typed = h("input", { class: "b-typed", id: "ball-typed", maxlength: "500", autocomplete: "off", enterkeyhint: "send", dir: "auto" });
const send = h("button", { type: "submit", class: "b-send" }, icon("send"));
const form = h("form", { class: "b-form" }, typed, send);
const float = h("div", { class: "b-float" }, ball);
const stage = h("section", { class: "b-stage", "aria-labelledby": "ball" }, h("div", { class: "b-space" }, h("div", { class: "b-shadow" }), float), h("div", { class: "b-line" }, heard, caption, status),
    models, problem, form, free);
const list = h("ol", { class: "b-list" });
const forget = h("button", { type: "button", class: "text-button" });
const keptTitle = h("h2", {});
const past = h("section", { class: "b-past", hidden: true }, h("div", { class: "b-past-head" }, keptTitle, forget), list);
const partsTitle = h("summary", {}), partsBody = h("div", { class: "b-parts-body column" });
const parts = h("details", { class: "b-parts" }, partsTitle, partsBody);

const look = new Look(stage);
float.prepend(look.halo);
ball.append(h("span", { class: "b-shake" }, h("span", { class: "b-shake2" }, look.svg, h("span", { class: "b-bubbles" }, [1, 2, 3, 4, 5].map(() => h("i", {}))))));

/* The header stays; all else of the app goes below. */
const [header, ...rest] = [...app.main.children];
document.documentElement.classList.add("ball");
header.classList.add("b-header");
partsBody.append(...rest);
app.main.append(stage, past, parts);

/* ---- what is going on */

const ear = app.micPossible() ? new Ear({ recorder: app.recorder(), wav, on: {
    state: listens, level: (v) => look.hear(v), sofar: hearEarly, question: (file, endedAt) => ask({ file }, endedAt), interrupt: stopAll,
    nothing: () => idle(t("b_nothing")), problem: micFailed,
} }) : null;
const kept = new Kept(storage);
let turn = null, again = null; /* the question that is being answered; the answer that is being played again */
let loading = false, wasUp = false;

function say(text, quiet = "") {
    if (status.textContent !== text) status.textContent = text;
    heard.textContent = quiet;
}

function idle(text = null) {
    look.state("idle");
    ball.setAttribute("aria-pressed", "false");
    if (ear) ear.careful = false;
    say(text ?? t(ear?.free ? "b_free" : loading ? "b_loading" : !ear ? "b_typeOnly" : wasUp ? "b_again" : "b_ask"), wasUp && !text ? heard.textContent : "");
}

function stopAll() {
    turn?.stop();
    again?.close();
    turn = again = null;
    draw();
}

/* The microphone's state has changed. */
function listens(mode) {
    if (!mode) return turn || again ? undefined : idle();
    problem.hidden = true;
    if (mode === "opening") return say(t("b_opening"));
    wasUp = false;
    caption.textContent = "";
    look.sink();
    look.roll(0);
    look.state("listening");
    ball.setAttribute("aria-pressed", "true");
    say(t(`b_${mode}`));
}

function micFailed(e) {
    problem.textContent = `${app.micProblem(e)} ${t("b_typeOnly")}`;
    problem.hidden = false;
    free.setAttribute("aria-checked", "false");
    idle();
}

/* What was said so far goes to the server while one still speaks, one piece at a time; of those that had to wait only the last. */
let sending = false, next = null;
async function hearEarly(file) {
    next = file;
    if (sending || !app.page.dependency("listen")) return;
    sending = true;
    try {
        while (next && ear.asking) {
            const piece = next;
            next = null;
            const value = await app.upload(piece, "audio.wav");
            if (ear.asking) await app.predict("listen", [value]);
        }
    } catch (e) { /* then all of it is heard at the end */
        console.debug(e);
    }
    sending = false;
    next = null;
}

/* ---- a question and its answer */

function ask(what, endedAt) {
    stopAll();
    wasUp = false;
    problem.hidden = true;
    caption.textContent = "";
    look.sink();
    look.roll(1);
    look.state("thinking");
    if (ear) ear.careful = true;
    say(t("b_thinking"), what.text ? `“${what.text}”` : "");
    const mine = turn = new Turn(app, what, endedAt, {
        heard: (text) => say(t("b_thinking"), `“${text}”`),
        waiting: (rank) => say(t("b_waiting", rank), heard.textContent),
        note: (text) => say(text, heard.textContent),
        shown: ({ question, answer, times }) => {
            reveal(answer, question);
            mine.entry = { at: Date.now(), question, answer, ...times };
            kept.add(mine.entry);
            draw();
        },
        level: (v) => look.hear(v),
        blocked: () => say(t("b_tapToHear"), heard.textContent),
        complete: () => {
            if (mine.entry) mine.entry.bytes = mine.bytes;
            draw();
        },
        failed: (e) => app.page.tell(e),
        done: () => {
            turn = null;
            if (mine.entry) mine.entry.bytes ??= mine.bytes;
            idle();
            draw();
        },
    });
    mine.run();
}

function reveal(answer, question) {
    wasUp = true;
    look.state("speaking");
    const size = look.answer(answer);
    caption.classList.toggle("offscreen", size >= READABLE);
    caption.textContent = answer;
    say("", question ? `“${question}”` : "");
}

const sounds = (entry) => again?.entry === entry || turn?.entry === entry;

/* An answer of before: heard again if its sound is still here, else only shown. */
function replay(entry) {
    const same = sounds(entry);
    ear?.cancel();
    stopAll();
    if (same) return idle();
    if (!entry.bytes) {
        reveal(entry.answer, entry.question);
        return idle();
    }
    const player = again = app.player({ autoplay: true });
    player.entry = entry;
    if (ear) ear.careful = true;
    player.on("first", () => {
        reveal(entry.answer, entry.question);
        meter(player, (v) => look.hear(v), () => again === player);
    });
    const over = () => {
        if (again !== player) return;
        again = null;
        idle();
        draw();
    };
    player.on("ended", over);
    player.on("error", over);
    look.sink();
    player.push(entry.bytes);
    player.finish();
    draw();
}

/* ---- the list of answers */

function time(name, ms) {
    return ms === null || ms === undefined ? null : h("span", { class: "b-time" }, `${t(`b_${name}`)} `, h("b", {}, t("b_ms", ms)));
}

function row(entry) {
    const playing = sounds(entry);
    const name = playing ? t("b_stop") : t(entry.bytes ? "b_replay" : "b_look", entry.answer);
    const at = new Date(entry.at).toLocaleString(app.texts.lang, { dateStyle: "medium", timeStyle: "short" });
    return h("li", { class: playing ? "on" : "" },
        h("button", { type: "button", class: `b-again${entry.bytes ? "" : " silent"}`, "aria-label": name, title: name, onclick: () => replay(entry) },
            icon(playing ? "stop" : entry.bytes ? "play" : "text")),
        h("div", { class: "b-said" }, entry.question ? h("p", { class: "b-question", dir: "auto" }, entry.question) : null, h("p", { class: "b-answer", dir: "auto" }, entry.answer),
            h("p", { class: "b-times", title: t("b_since") }, time("heard", entry.heard), time("word", entry.word), time("sound", entry.sound), h("time", {}, at))));
}

function draw() {
    const at = [...list.children].findIndex((li) => li.contains(document.activeElement));
    list.replaceChildren(...kept.list.map(row));
    past.hidden = !kept.list.length;
    if (at >= 0) list.children[at]?.querySelector("button").focus();
}

/* ---- hands */

let pressed = 0; /* since when; 0: not */

function press() {
    if (!ear) return typed.focus();
    if (turn?.player?.blocked) return turn.player.play();
    if (ear.asking) return ear.end();
    pressed = performance.now();
    stopAll();
    ear.begin("hold");
}

function release() {
    if (!pressed) return;
    const held = performance.now() - pressed;
    pressed = 0;
    if (held < TAP_MS) ear.soften();
    else ear.end();
}

ball.addEventListener("pointerdown", (e) => {
    if (e.button !== 0) return;
    ball.setPointerCapture(e.pointerId);
    press();
});
for (const event of ["pointerup", "pointercancel"]) ball.addEventListener(event, release);
ball.addEventListener("contextmenu", (e) => e.preventDefault());
ball.addEventListener("click", (e) => {
    if (e.detail) return; /* of a pointer: done above. What is left are Enter and screen readers */
    press();
    if (pressed) ear.soften();
    pressed = 0;
});

const elsewhere = "input, textarea, select, button, a, summary, audio, video, [contenteditable], [role=option], dialog";
addEventListener("keydown", (e) => {
    if (e.key === "Escape" && (ear?.asking || turn || again)) {
        pressed = 0;
        ear?.cancel();
        stopAll();
        look.sink();
        wasUp = false;
        return idle(t("b_cancelled"));
    }
    if (e.key !== " " || e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.target !== ball && e.target.closest?.(elsewhere)) return;
    e.preventDefault();
    if (!e.repeat) press();
});
addEventListener("keyup", (e) => {
    if (e.key !== " ") return;
    if (e.target === ball) e.preventDefault();
    release();
});
addEventListener("blur", release);

form.addEventListener("submit", (e) => {
    e.preventDefault();
    const text = typed.value.trim();
    if (!text) return typed.focus();
    ear?.cancel();
    typed.value = "";
    ask({ text }, performance.now());
});
free.addEventListener("click", async () => {
    const on = free.getAttribute("aria-checked") !== "true";
    free.setAttribute("aria-checked", String(on));
    if (on) say(t("b_opening"));
    await ear.handsFree(on);
    free.setAttribute("aria-checked", String(ear.free));
    if (!turn && !again && !ear.asking && problem.hidden) idle();
});
forget.addEventListener("click", () => {
    stopAll();
    kept.clear();
    idle();
    draw();
    ball.focus();
});

/* ---- while the models load */

async function watch() {
    let health;
    try {
        const answer = await fetch(new URL("health", document.baseURI), { cache: "no-store" });
        if (!(answer.headers.get("content-type") ?? "").includes("json")) return;
        health = await answer.json();
    } catch {
        return void setTimeout(watch, 3000);
    }
    if (!health?.models) return;
    const was = loading;
    loading = Object.values(health.models).some((state) => state === "loading");
    const bad = Object.values(health.models).some((state) => state === "missing" || state === "died");
    models.hidden = !loading && !bad;
    models.replaceChildren(...["asr", "llm", "tts"].filter((role) => health.models[role]).map((role) => {
        const state = health.models[role], good = state === "ready" || state === "ok";
        return h("li", { class: good ? "ready" : state === "loading" ? "loading" : "bad" }, h("i", {}), t(`b_${role}`),
            h("span", { class: "offscreen" }, ` ${t(good ? "b_ready" : state === "loading" ? "b_isLoading" : "b_missing")}`));
    }));
    if (was !== loading && !turn && !again && !ear?.asking) idle();
    if (loading || bad) setTimeout(watch, loading ? 700 : 5000);
}

function write() {
    ball.setAttribute("aria-label", t("b_button"));
    typed.placeholder = t("b_typed");
    typed.setAttribute("aria-label", t("b_typed"));
    send.setAttribute("aria-label", t("b_send"));
    free.lastChild.textContent = t("b_handsfree");
    free.title = t("b_handsfreeHint");
    keptTitle.textContent = t("b_kept");
    forget.textContent = t("b_clear");
    partsTitle.textContent = t("b_parts");
    if (!ear) {
        problem.textContent = app.micProblem(new Error("insecure"));
        problem.hidden = false;
        free.hidden = true;
    }
    draw();
}

app.on("language", () => {
    write();
    if (!turn && !ear?.asking) idle();
});
write();
idle();
watch();
