/* What the tests of the page share: a browser with a fake microphone, a visitor, ways to name what is on the page, and the report.
 *   --only NAME   one test        --shots FOLDER   keep pictures        --sound FILE.wav   what the microphone hears
 * playwright-core is found in CACHE/node (tests/clients/setup.sh) or PLAYWRIGHT; CHROMIUM is the browser. */
import { createRequire } from "node:module";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const args = process.argv.slice(2);
export const option = (name) => (args.includes(name) ? args[args.indexOf(name) + 1] : null);
export const address = (name) => (option(`--${name.toLowerCase()}`) ?? process.env[name])?.replace(/\/$/, "");
const require = createRequire(process.env.PLAYWRIGHT ? join(process.env.PLAYWRIGHT, "x.js") : process.env.CACHE ? join(process.env.CACHE, "node/x.js") : import.meta.url);
const { chromium } = require("playwright-core");
const work = mkdtempSync(join(tmpdir(), "page-"));
export const shots = option("--shots");
if (shots) mkdirSync(shots, { recursive: true });

/* One second and a half of a tone that gets louder, as the fake microphone's sound. */
function wav(seconds = 1.5, rate = 48000) {
    const n = Math.floor(seconds * rate), b = Buffer.alloc(44 + 2 * n);
    b.write("RIFF", 0); b.writeUInt32LE(36 + 2 * n, 4); b.write("WAVEfmt ", 8); b.writeUInt32LE(16, 16); b.writeUInt16LE(1, 20); b.writeUInt16LE(1, 22);
    b.writeUInt32LE(rate, 24); b.writeUInt32LE(2 * rate, 28); b.writeUInt16LE(2, 32); b.writeUInt16LE(16, 34); b.write("data", 36); b.writeUInt32LE(2 * n, 40);
    for (let i = 0; i < n; i++) b.writeInt16LE(Math.round(20000 * i / n * Math.sin(2 * Math.PI * 440 * i / rate)), 44 + 2 * i);
    return b;
}
const sound = option("--sound") ?? join(work, "mic.wav");
if (!option("--sound")) writeFileSync(sound, wav());

export const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream", `--use-file-for-fake-audio-capture=${sound}`, "--autoplay-policy=no-user-gesture-required", "--disable-dev-shm-usage", "--no-proxy-server"] });

class Skip extends Error {}
export const skip = (why) => { throw new Skip(why); };
export function equal(got, want, what) {
    if (JSON.stringify(got) !== JSON.stringify(want)) throw new Error(`${what}: expected ${JSON.stringify(want)}, got ${JSON.stringify(got)}`);
}
export function check(ok, what) {
    if (!ok) throw new Error(what);
}
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export async function until(fn, what, ms = 8000) {
    for (const end = Date.now() + ms; Date.now() < end; await sleep(25)) {
        const got = await fn();
        if (got) return got;
    }
    throw new Error(`${what}: not within ${ms} ms`);
}

export async function visit(url, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-US", permissions: ["microphone"], ...options });
    const page = await context.newPage();
    page.problems = [];
    page.on("pageerror", (e) => page.problems.push(e.message));
    page.on("console", (m) => m.type() === "error" && page.problems.push(m.text()));
    await page.goto(`${url}/`);
    await page.waitForSelector("html.ready, .login");
    page.setDefaultTimeout(8000);
    return page;
}
export const field = (page, label) => page.getByLabel(label, { exact: true });
export const press = (page, name) => page.getByRole("button", { name, exact: true }).click();
export const block = (page, label) => page.locator(".block", { has: page.locator(".label", { hasText: new RegExp(`^${label}$`) }) });
/* Every value that a component gets from now on: what is there for a moment only is not missed on a busy machine. */
export const watch = (page, label) => page.evaluate(async (label) => {
    const { app } = await import("./assets/app.js"), c = [...app.components.values()].find((x) => x.props.label === label);
    window.seen = [];
    c.on("change", () => window.seen.push(structuredClone(c.value)));
}, label);
export const value = (page, label, want) => until(async () => (await field(page, label).inputValue()) === want, `${label} to be ${JSON.stringify(want)}`);
export const shot = (page, name) => shots && page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });


let failed = 0;
/* fn(page) with the page of `url` open, or fn() that opens and returns its own. */
export async function test(name, fn, url) {
    if (option("--only") && option("--only") !== name) return;
    let page = null;
    try {
        page = url ? await visit(url) : null;
        page = (await fn(page)) ?? page;
        const bad = page?.problems.filter((p) => !page.expected?.test(p)) ?? [];
        if (bad.length) throw new Error(`the console says: ${bad[0]}`);
        console.log(`ok page/${name}`);
    } catch (e) {
        if (e instanceof Skip) console.log(`skip page/${name}: ${e.message}`);
        else {
            failed++;
            console.log(`not ok page/${name}: ${String(e.message).split("\n").slice(0, 4).join(" ")}`);
            if (shots && page) await page.screenshot({ path: join(shots, `failed-${name}.png`) }).catch(() => {});
        }
    }
    await page?.context().close();
}

export async function finish() {
    await browser.close();
    rmSync(work, { recursive: true });
    process.exit(failed ? 1 : 0);
}
