/* The magic 8 ball as a visitor uses it: headless Chromium, whose microphone plays data/question.webm.
 *   usage: node ball.mjs BASE-URL [--only NAME] [--shots FOLDER]
 * Prints "ok ball/NAME", "not ok ball/NAME: why", "skip ball/NAME: why", and figures as JSON objects. Needs ffmpeg.
 * PLAYWRIGHT: where playwright-core is, if not to be found. CHROMIUM: the browser. */
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const args = process.argv.slice(2), base = args[0]?.replace(/\/?$/, "/");
const option = (name) => (args.includes(name) ? args[args.indexOf(name) + 1] : null);
const require = createRequire(process.env.PLAYWRIGHT ? join(process.env.PLAYWRIGHT, "x.js") : import.meta.url);
const { chromium } = require("playwright-core");
const work = mkdtempSync(join(tmpdir(), "ball-")), shots = option("--shots");
if (shots) mkdirSync(shots, { recursive: true });

/* The question as WAV: once, and again and again with silences of several lengths, so that on a slow machine as on a fast one some question
 * falls into the answer to the one before. */
const QUESTION_S = 2.8, BEFORE_S = 0.3;
function sound(name, ...silences) {
    const path = join(work, `${name}.wav`), all = silences.map((s, i) => `[0:a]adelay=${BEFORE_S * 1000},apad=pad_dur=${s}[s${i}]`);
    execFileSync("ffmpeg", ["-v", "error", "-i", fileURLToPath(new URL("../../data/question.webm", import.meta.url)), "-ac", "1", "-ar", "48000",
        "-filter_complex", `${all.join(";")};${silences.map((_, i) => `[s${i}]`).join("")}concat=n=${silences.length}:v=0:a=1`, path]);
    return path;
}
const once = `${sound("once", 1)}%noloop`, often = sound("often", 2.2, 3.2, 4.5);

const browsers = new Map();
async function browser(microphone) {
    if (!browsers.has(microphone)) {
        browsers.set(microphone, await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox",
            "--autoplay-policy=no-user-gesture-required", "--use-fake-device-for-media-stream",
            ...(microphone ? ["--use-fake-ui-for-media-stream", `--use-file-for-fake-audio-capture=${microphone}`] : [])] }));
    }
    return browsers.get(microphone);
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
function check(ok, what) {
    if (!ok) throw new Error(what);
}
async function until(fn, what, ms = 20000) {
    for (const end = Date.now() + ms; Date.now() < end; await sleep(20)) {
        const got = await fn();
        if (got) return got;
    }
    throw new Error(`${what}: not within ${ms} ms`);
}
const figure = (what, value, unit = "ms") => console.log(`# ${JSON.stringify({ what: `ball ${what}`, value, unit })}`);
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

/* A page with a log of what the ball did: its states, when the answer came up, and the players that there were. */
async function visit({ microphone = once, permissions = ["microphone"], ...options } = {}, prepare) {
    const context = await (await browser(microphone)).newContext({ viewport: { width: 1280, height: 860 }, locale: "en-US", permissions, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(20000);
    page.problems = [];
    page.posts = [];
    page.on("pageerror", (e) => page.problems.push(e.message));
    page.on("console", (m) => m.type() === "error" && !/audio\.mp3|\/health/.test(m.location().url) && page.problems.push(m.text()));
    page.on("request", (r) => r.method() === "POST" && page.posts.push({ at: Date.now(), url: r.url(), body: /queue\/join/.test(r.url()) ? r.postDataJSON() : null }));
    await prepare?.(page);
    await page.goto(base);
    await page.waitForSelector("#ball");
    await page.evaluate(async () => {
        const { app } = await import(new URL("assets/app.js", document.baseURI).href);
        const stage = document.querySelector(".b-stage"), log = window.seen = { states: [], up: [], players: [], stalls: [] };
        new PerformanceObserver((list) => log.stalls.push(...list.getEntries().map((e) => [e.startTime, e.duration]))).observe({ type: "longtask" });
        const speech = app.component(app.page.dependency("read_response").outputs[1]);
        new MutationObserver(() => {
            const { state } = stage.dataset, up = stage.classList.contains("up");
            if (log.states.at(-1)?.state !== state) log.states.push({ state, at: performance.now() });
            if (up !== log.isUp && (log.isUp = up)) log.up.push({ at: performance.now(), text: [...stage.querySelectorAll(".words text")].map((t) => t.textContent).join(" ") });
            if (speech.player && !log.players.includes(speech.player)) log.players.push(speech.player);
        }).observe(stage, { attributes: true, subtree: true, attributeFilter: ["data-state", "class"] });
    });
    return page;
}
const state = (page) => page.evaluate(() => document.querySelector(".b-stage").dataset.state);
const reach = (page, ...names) => until(async () => names.includes(await state(page)), `the ball to be ${names.join(" or ")}`);
const fnIndex = (page, name) => page.evaluate((n) => import(new URL("assets/app.js", document.baseURI).href).then(({ app }) => app.page.dependency(n)?.id ?? null), name);
/* The ball floats, so it never is "stable", for which a locator's click would wait. */
async function point(page) {
    const box = await page.locator("#ball").boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
}
async function tap(page) {
    await point(page);
    await page.mouse.down();
    await page.mouse.up();
}
const shot = (page, name) => shots && page.screenshot({ path: join(shots, `${name}.png`) });
const entries = (page) => page.evaluate(() => JSON.parse(localStorage.getItem("magic8-answers") ?? "[]"));
const playerLog = (page) => page.evaluate(() => window.seen.players.map((p) => ({ ...p.stats, playing: p.playing, duration: p.duration, complete: p.complete,
    peak: Math.max(0, ...p.pieces.map(({ buffer }) => buffer.getChannelData(0).reduce((m, x) => Math.max(m, Math.abs(x)), 0))) })));
const bare = (text) => text.toLowerCase().replace(/\s+/g, " ").trim();

/* What must be true of every answer that was heard to its end. */
async function answered(page, { typed = false } = {}) {
    await reach(page, "speaking");
    await shot(page, "answering");
    await reach(page, "idle");
    const [entry] = await entries(page), seen = await page.evaluate(() => ({ up: window.seen.up.at(-1), stalls: window.seen.stalls })), player = (await playerLog(page)).at(-1);
    check(entry?.answer, "no answer was kept");
    check(bare(seen.up.text).startsWith(bare(entry.answer).slice(0, 40).trim().split("…")[0]), `the window says “${seen.up.text}”, the answer is “${entry.answer}”`);
    const apart = seen.up.at - player.firstAudible; /* less what a busy machine kept the page from doing anything at all */
    const stalled = seen.stalls.filter(([at, ms]) => at < seen.up.at && at + ms > player.firstAudible - 20).reduce((sum, [, ms]) => sum + ms, 0);
    check(apart > -60 && apart < 100 + stalled, `text and voice are ${apart.toFixed(0)} ms apart, and ${stalled} ms of that the page stood still`);
    if (loadavg()[0] < 2.5 * cpus().length) check(player.gaps === 0, `${player.gaps} gaps in the sound`);
    else if (player.gaps) console.log(`# ${player.gaps} gaps in the sound, on a machine with a load of ${loadavg()[0]}`);
    check(player.peak > 0.02 && player.duration > 0.3, `no sound: peak ${player.peak}, ${player.duration} s`);
    check(entry.word <= entry.sound && (typed || (entry.heard !== null && entry.heard <= entry.word)), `times: ${JSON.stringify(entry)}`);
    check(await page.locator(".b-caption").evaluate((el, a) => el.textContent === a && el.getAttribute("aria-live") === "polite", entry.answer), "the answer is not in the live region");
    return entry;
}

const turns = [];
const tests = {
    async hold_space(page) {
        const listen = await fnIndex(page, "listen");
        await page.keyboard.down(" ");
        await reach(page, "listening");
        await sleep(1500);
        await shot(page, "listening");
        await sleep((BEFORE_S + QUESTION_S - 1.3) * 1000);
        if (listen !== null) await until(() => page.posts.some((p) => p.body?.fn_index === listen), "what was said so far to be sent at the pause", 4000);
        await page.keyboard.up(" ");
        const asked = page.posts.length;
        await reach(page, "thinking", "speaking");
        check(!page.posts.slice(asked + 2).some((p) => p.body?.fn_index === listen), "it is still sent after the end");
        const entry = await answered(page);
        turns.push(entry);
        check(entry.question, "the question that was heard is not shown");
        check((await page.locator(".b-list li .b-times").first().innerText()).includes(`${entry.sound} ms`), "the times are not in the list");
    },
    async hold_mouse(page) {
        await point(page);
        await page.mouse.down();
        await reach(page, "listening");
        check(await page.locator("#ball").getAttribute("aria-pressed") === "true", "not said to be pressed");
        await sleep((BEFORE_S + QUESTION_S + 0.25) * 1000);
        await page.mouse.up();
        turns.push(await answered(page));
    },
    async tap_and_silence(page) {
        await tap(page);
        await reach(page, "listening");
        await reach(page, "thinking", "speaking"); /* nobody touches it: silence ends the question */
        await answered(page);
    },
    async tap_twice(page) {
        await page.locator("#ball").focus();
        await page.keyboard.press("Enter");
        await reach(page, "listening");
        await sleep((BEFORE_S + QUESTION_S) * 1000);
        await page.keyboard.press("Enter");
        await answered(page);
    },
    async typed_and_replay(page) {
        await page.locator("#ball-typed").fill("Should I get a dog?");
        await page.keyboard.press("Enter");
        const entry = await answered(page, { typed: true });
        figure("typed question to first sound", entry.sound);
        check(entry.question === "Should I get a dog?" && await page.locator("#ball-typed").inputValue() === "", "the typed question");
        await page.locator(".b-again").first().click();
        await reach(page, "speaking");
        check(await page.locator(".b-list li.on").count() === 1, "the list does not show what is played");
        const began = Date.now();
        await reach(page, "idle");
        const { duration } = (await playerLog(page)).at(-1);
        check(Math.abs((Date.now() - began) / 1000 - duration) < 0.6, `played again for ${Date.now() - began} ms of ${duration} s`);
        check((await entries(page)).length === 1, "playing again made another entry");
        await page.reload();
        await page.waitForSelector(".b-list li");
        check((await page.locator(".b-answer").innerText()) === entry.answer, "gone after a reload");
        await page.locator(".b-again").first().click();
        check(await page.locator(".b-stage.up").count() === 1, "an old answer is not shown again");
        await page.getByRole("button", { name: "Forget all" }).click();
        check((await entries(page)).length === 0 && await page.locator(".b-past").isHidden(), "not forgotten");
    },
    async cancel(page) {
        await tap(page);
        await reach(page, "listening");
        await page.keyboard.press("Escape");
        await reach(page, "idle");
        await sleep(300);
        check(!page.posts.some((p) => p.body), "a cancelled question was sent");
        await page.locator("#ball-typed").fill("Should I get a dog?");
        await page.keyboard.press("Enter");
        await reach(page, "speaking");
        await page.keyboard.press("Escape");
        await reach(page, "idle");
        check((await playerLog(page)).every((p) => !p.playing), "the voice goes on");
        await page.locator("#ball-typed").fill("And a cat?"); /* and the next question is answered, in the same session */
        await page.keyboard.press("Enter");
        await answered(page, { typed: true });
    },
    async ask_over_an_answer(page) {
        await page.locator("#ball-typed").fill("Should I get a dog?");
        await page.keyboard.press("Enter");
        await reach(page, "speaking");
        await page.locator("#ball-typed").fill("Should I get a cat?");
        await page.keyboard.press("Enter");
        await reach(page, "thinking");
        check((await playerLog(page)).every((p) => !p.playing), "the old voice goes on");
        const entry = await answered(page, { typed: true });
        check(entry.question === "Should I get a cat?", `the answer is to “${entry.question}”`);
    },
    hands_free: { options: { microphone: often }, async run(page) {
        const free = page.getByRole("switch");
        await free.click();
        check(await free.getAttribute("aria-checked") === "true", "it is not on");
        const states = () => page.evaluate(() => window.seen.states.map((s) => s.state).join(" "));
        await until(async () => / ?listening thinking speaking/.test(await states()), "a question without a hand", 15000);
        await until(async () => /speaking listening thinking speaking/.test(await states()), "speaking over the answer to stop it", 60000);
        const players = await playerLog(page);
        check(players.slice(0, -1).every((p) => !p.playing), "the old voice goes on");
        await free.click();
        check(await free.getAttribute("aria-checked") === "false", "it is not off");
    } },
    no_microphone: { options: { microphone: null, permissions: [] }, async run(page) {
        await tap(page);
        await page.locator(".b-problem").waitFor({ state: "visible" });
        check(/microphone/i.test(await page.locator(".b-problem").innerText()), "no word why");
        await page.locator("#ball-typed").fill("Should I get a dog?");
        await page.locator(".b-send").click();
        await answered(page, { typed: true });
    } },
    insecure: { options: {}, async prepare(page) {
        await page.addInitScript(() => Object.defineProperty(window, "isSecureContext", { value: false }));
    }, async run(page) {
        check(/https/.test(await page.locator(".b-problem").innerText()), "no word why");
        check(await page.getByRole("switch").count() === 0, "hands-free is offered");
        await page.keyboard.press("Tab");
        await page.locator("#ball").focus();
        await page.keyboard.press("Enter");
        check(await page.evaluate(() => document.activeElement.id) === "ball-typed", "the ball does not lead to the line for typing");
    } },
    loading: { options: {}, async prepare(page) {
        page.health = { status: "loading", models: { asr: "ready", llm: "loading", tts: "loading" } };
        await page.route("**/health", (route) => route.fulfill({ status: 503, contentType: "application/json", body: JSON.stringify(page.health) }));
    }, async run(page) {
        await page.locator(".b-models").waitFor({ state: "visible" });
        check(await page.locator(".b-models .loading").count() === 2 && await page.locator(".b-models .ready").count() === 1, "which models are ready");
        check(/Waking up/.test(await page.locator(".b-status").innerText()), "no word of it");
        await shot(page, "loading");
        check(await page.locator("#ball").isEnabled(), "one cannot ask");
        page.health = { status: "ok", models: { asr: "ready", llm: "ready", tts: "ready" } };
        await page.locator(".b-models").waitFor({ state: "hidden" });
        check(/Hold, tap/.test(await page.locator(".b-status").innerText()), "it still wakes up");
    } },
    reduced_motion: { options: { reducedMotion: "reduce" }, async run(page) {
        /* Asked within the page, in the very state. */
        const moves = (state) => page.evaluate(async (state) => {
            while (document.querySelector(".b-stage").dataset.state !== state) await new Promise((r) => setTimeout(r, 5));
            const moving = document.getAnimations().filter((a) => a.playState === "running" && a.effect.getKeyframes().some((k) => k.transform && k.transform !== "none"));
            return { moving: moving.length, pulse: getComputedStyle(document.querySelector("#ball")).animationName };
        }, state);
        check((await moves("idle")).moving === 0, "it floats");
        const thinking = moves("thinking");
        await page.locator("#ball-typed").fill("Should I get a dog?");
        await page.keyboard.press("Enter");
        const { moving, pulse } = await thinking;
        check(moving === 0, "it shakes");
        check(pulse === "b-pulse", `it does not pulse: ${pulse}`);
        await answered(page, { typed: true });
    } },
    narrow: { options: { viewport: { width: 320, height: 640 } }, async run(page) {
        await page.locator("#ball-typed").fill("Should I get a dog?");
        await page.keyboard.press("Enter");
        await answered(page, { typed: true });
        const out = await page.evaluate(() => [...document.querySelectorAll(".main *")].filter((el) => !el.closest("canvas, svg, details:not([open]) > :not(summary), .offscreen, .b-shadow")).filter((el) => {
            const r = el.getBoundingClientRect();
            return r.width && (r.left < -0.5 || r.right > innerWidth + 0.5);
        }).map((el) => el.className));
        check(out.length === 0 && await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `sticks out: ${out}`);
        for (const name of ["#ball", ".b-send", ".b-free", ".b-again"]) check((await page.locator(name).first().boundingBox()).height >= 39, `${name} is too small for a finger`);
    } },
    right_to_left: { options: { locale: "ar" }, async run(page) {
        check(await page.evaluate(() => document.documentElement.dir === "rtl" && document.documentElement.scrollWidth <= innerWidth), "not right to left, or too wide");
        check(/[\u0600-\u06ff]/.test(await page.locator("#ball").getAttribute("aria-label")), "the ball's name is not Arabic");
        await shot(page, "arabic");
    } },
    chinese: { options: { locale: "zh-CN" }, async run(page) {
        check(/[\u4e00-\u9fff]/.test(await page.locator(".b-status").innerText()), "not Chinese");
    } },
    async parts_still_work(page) {
        await page.locator(".b-parts summary").click();
        check(await page.getByText("Spoken Answer").first().isVisible(), "the app's own parts cannot be seen");
        const record = page.locator("#question button.record");
        await record.click();
        await sleep((BEFORE_S + QUESTION_S) * 1000);
        await record.click();
        await until(() => page.getByLabel("Answer", { exact: true }).inputValue(), "the Answer of the app's own parts");
    },
    async keyboard_alone(page) {
        const reached = new Set();
        for (let i = 0; i < 30; i++) {
            await page.keyboard.press("Tab");
            reached.add(await page.evaluate(() => document.activeElement.id || document.activeElement.className || document.activeElement.tagName));
        }
        for (const name of ["ball", "ball-typed", "b-send", "b-free", "SUMMARY"]) check(reached.has(name), `${name} is not reached by Tab: ${[...reached]}`);
        const names = await page.evaluate(() => [...document.querySelectorAll(".b-stage button, .b-stage input")].filter((el) => !el.getAttribute("aria-label") && !el.textContent.trim()).length);
        check(names === 0, `${names} controls without a name`);
    },
};

/* The models are loaded before anything is timed; without them there is no answer. A server without /health (Gradio) needs none. */
for (let i = 0; ; i++) {
    const models = await fetch(`${base}health`).then((a) => a.json(), () => null).then((a) => a?.models, () => null), states = Object.values(models ?? {});
    if (states.includes("missing")) {
        console.log(`skip ball: a model is not here: ${JSON.stringify(models)}`);
        process.exit(0);
    }
    if (i > 120 || !states.includes("loading")) break;
    await sleep(500);
}

const only = option("--only");
let failed = 0;
if (!(await fetch(base).then((a) => a.ok, () => false))) {
    console.log(`not ok ball: ${base} does not answer`);
    process.exit(1);
}
for (const [name, test] of Object.entries(tests)) {
    if (only && only !== name) continue;
    let page;
    try {
        page = await visit(test.options, test.prepare);
        await (test.run ?? test)(page);
        check(page.problems.length === 0, `the page complains: ${page.problems.join(" | ")}`);
        console.log(`ok ball/${name}`);
    } catch (e) {
        failed++;
        console.log(`not ok ball/${name}: ${e.message.split("\n")[0]}`);
        if (page) await shot(page, `failed-${name}`);
    }
    await page?.context().close();
}
if (turns.length) {
    figure("end of the recording to first sound", median(turns.map((t) => t.sound)));
    figure("end of the recording to heard", median(turns.map((t) => t.heard)));
    figure("end of the recording to first word", median(turns.map((t) => t.word)));
}
for (const b of browsers.values()) await b.close();
rmSync(work, { recursive: true, force: true });
process.exitCode = failed ? 1 : 0;
