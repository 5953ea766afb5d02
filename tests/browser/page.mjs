/* The page as a visitor uses it, in headless Chromium, against a running lab app: our own, or the original behind proxy.mjs.
 *   usage: node page.mjs --lab URL [--only NAME] [--shots FOLDER]    (or LAB=URL)     prints "ok page/NAME", "not ok page/NAME: why" */
import { address, block, check, equal, field, finish, press, shot, sleep, test, until, value, visit, watch } from "./kit.mjs";

const base = address("LAB");

const tests = {
    async loads(page) {
        equal(await page.title(), "Lab", "title");
        await value(page, "Out 2", "loaded");
        await shot(page, "wide-light");
    },
    async echo(page) {
        await field(page, "Text").fill("hello <b>there</b>");
        await press(page, "echo");
        await value(page, "Out", "hello <b>there</b>");
    },
    async generator(page) {
        await field(page, "N").fill("4");
        await watch(page, "Out");
        await press(page, "count");
        await value(page, "Out", "0 1 2 3 ");
        equal(await page.evaluate(() => window.seen), ["0 ", "0 1 ", "0 1 2 ", "0 1 2 3 "], "values on the way");
        check((await block(page, "Json").innerText()).includes('"items"'), "the JSON is shown");
    },
    async cancel(page) {
        await field(page, "N").fill("40");
        await press(page, "count");
        await until(async () => (await field(page, "Out").inputValue()).startsWith("0 1"), "it began");
        await press(page, "stop");
        await until(async () => (await page.locator("[aria-busy=true]").count()) === 0, "nothing is busy");
        const at = await field(page, "Out").inputValue();
        await sleep(600);
        equal(await field(page, "Out").inputValue(), at, "it stopped");
        await field(page, "N").fill("2");
        await press(page, "count");
        await value(page, "Out", "0 1 ");
    },
    async progress(page) {
        await field(page, "N").fill("5");
        await page.evaluate(() => {
            window.seen = [];
            new MutationObserver(() => document.querySelectorAll(".status [role=progressbar]").forEach((b) => window.seen.push(`${b.getAttribute("aria-label")} ${b.getAttribute("aria-valuenow")}: ${b.previousSibling.textContent}`)))
                .observe(document.body, { subtree: true, childList: true });
        });
        await press(page, "progress");
        await page.locator(".status", { hasText: /Working · [1-4] of 5 steps/ }).waitFor();
        await shot(page, "progress");
        await value(page, "Out", "done 5");
        equal(await page.locator(".status").count(), 0, "covers left");
        const seen = new Set(await page.evaluate(() => window.seen));
        for (const want of ["Starting 0: Starting · 0%", "Working 40: Working · 2 of 5 steps"]) check(seen.has(want), `${want} is not among ${[...seen]}`);
    },
    async toasts(page) {
        await field(page, "Text").fill("x");
        await press(page, "warn");
        await page.getByText("an info").waitFor();
        await page.getByText("Careful").waitFor();
        await page.getByText("a success").waitFor();
        await shot(page, "toasts");
        await page.locator(".toast", { hasText: "Careful" }).getByRole("button", { name: "Close" }).click();
        await until(async () => (await page.locator(".toast", { hasText: "Careful" }).count()) === 0, "the toast is gone");
    },
    async errors(page) {
        page.expected = /./;
        await press(page, "fail");
        await page.getByRole("alert").filter({ hasText: "Ball error" }).filter({ hasText: "the ball is broken" }).waitFor();
        await block(page, "Out").locator(".status-error").first().waitFor();
        await press(page, "crash");
        await until(async () => (await page.locator("[aria-busy=true]").count()) === 0, "nothing is busy");
        check(!(await page.content()).includes("secret detail"), "an internal failure's text is not shown");
        await field(page, "Text").fill("ab");
        await press(page, "failgen");
        await page.getByText("late failure").waitFor();
        equal(await field(page, "Out").inputValue(), "ab12", "the values before it stay");
        await press(page, "echo");
        await value(page, "Out", "ab");
        equal(await block(page, "Out").locator(".status-error").count(), 0, "the mark goes with the next call");
    },
    async chains(page) {
        await field(page, "Text").fill("go");
        await press(page, "chain1");
        await value(page, "Out 2", "go!");
        await press(page, "badchain");
        await value(page, "Out 2", "recovered");
        await sleep(300);
        equal(await field(page, "Out 2").inputValue(), "recovered", "the chain of success did not run");
    },
    async state(page) {
        await press(page, "counter");
        await value(page, "Out", "1");
        await press(page, "counter");
        await value(page, "Out", "2");
    },
    async direct(page) {
        await field(page, "Text").fill("car");
        await press(page, "fast");
        await value(page, "Out", "fast car");
    },
    async update(page) {
        await field(page, "Text").fill("news");
        await press(page, "update");
        await value(page, "Renamed", "news");
        check(!(await field(page, "Renamed").isEditable()), "it is read only now");
    },
    async queue(page) {
        await field(page, "N").fill("1.2");
        const other = await visit(base);
        await field(other, "N").fill("1.2");
        await press(page, "slow");
        await sleep(200);
        await press(other, "slow");
        await other.locator(".status-waiting").first().waitFor();
        await value(page, "Out", "slept");
        await value(other, "Out", "slept");
        await other.context().close();
    },
    async once(page) {
        await field(page, "N").fill("0.6");
        let joins = 0;
        page.on("request", (r) => r.url().includes("queue/join") && joins++);
        await press(page, "slow");
        await page.locator(".m8-button", { hasText: /^slow$/ }).getByRole("button").click();
        await value(page, "Out", "slept");
        equal(joins, 1, "a second press while it runs is passed over");
    },
    async upload(page) {
        const chooser = page.waitForEvent("filechooser");
        await block(page, "File in").getByRole("button").click();
        await (await chooser).setFiles({ name: "übung #1 ?.txt", mimeType: "text/plain", buffer: Buffer.from("inhalt") });
        await block(page, "File in").getByText("übung #1 .txt").or(block(page, "File in").getByText("übung #1 ?.txt")).first().waitFor();
        await press(page, "file_echo");
        const link = block(page, "File out").getByRole("link");
        await link.waitFor();
        equal(await page.evaluate(async (url) => (await fetch(url)).text(), await link.getAttribute("href")), "inhalt", "the file comes back");
        await block(page, "File in").getByRole("button", { name: /Remove/ }).click();
        await block(page, "File in").getByRole("button", { name: /Drop/ }).waitFor();
    },
    async drop(page) {
        const data = await page.evaluateHandle(() => {
            const d = new DataTransfer();
            d.items.add(new File(["dropped"], "dropped.txt", { type: "text/plain" }));
            return d;
        });
        await block(page, "File in").locator(".drop").dispatchEvent("drop", { dataTransfer: data });
        await block(page, "File in").getByText("dropped.txt").waitFor();
    },
    async gallery(page) {
        await watch(page, "Gallery");
        await press(page, "gallery_stream");
        await until(async () => (await page.evaluate(() => window.seen.length)) >= 3, "three values");
        equal(await page.evaluate(() => window.seen.map((v) => v.map((x) => x.caption))), [["one"], ["one more", "two"], ["two"]], "captions");
        await until(async () => (await block(page, "Gallery").locator("img").count()) === 1, "one picture at the end");
        check(await block(page, "Gallery").locator("img").evaluate(async (i) => { await i.decode(); return i.naturalWidth > 0; }), "it is a picture");
        await block(page, "Gallery").getByRole("button", { name: "two" }).click();
        await page.locator("dialog.lightbox[open]").waitFor();
        await page.keyboard.press("Escape");
        await until(async () => (await page.locator("dialog").count()) === 0, "Escape closes it");
    },
    async stream_out(page) {
        page.expected = /40[04] \(/; /* the original has no audio.mp3 */
        await press(page, "tone");
        const audio = block(page, "Stream out");
        await audio.getByRole("button", { name: "Pause" }).waitFor();
        const player = () => page.evaluate(async () => {
            const { app } = await import("./assets/app.js");
            const p = [...app.components.values()].find((c) => c.props.label === "Stream out").player;
            return { ...p.stats, kind: p.frames.format?.kind, complete: p.complete, duration: p.duration, position: p.position, playing: p.playing };
        });
        await until(async () => (await player()).complete, "the stream to end", 12000);
        const at = await player();
        check(Math.abs(at.duration - 4.1) < 0.3, `four seconds of sound, not ${at.duration}`);
        const late = Math.round(at.firstAudible - at.firstByte);
        console.log(`# first sound ${late} ms after the first byte, ${at.kind}`);
        check(late < (at.kind === "mp3" ? 100 : 400), `audible ${late} ms after the first byte`); /* the original's first segment is too short to begin with */
        await shot(page, "stream");
        await until(async () => !(await player()).playing, "it plays to its end", 8000);
        equal((await player()).gaps, 0, "gaps");
        await audio.getByRole("button", { name: "Play" }).click();
        await sleep(400);
        check((await player()).position > 0.2, "it plays again");
        await audio.getByRole("slider", { name: "Position" }).focus();
        await page.keyboard.press("End");
        await until(async () => (await player()).position >= (await player()).duration - 0.5 || !(await player()).playing, "seeking by keyboard");
    },
    async record(page) {
        const audio = block(page, "Audio in");
        await audio.getByRole("button", { name: "Record" }).click();
        await audio.getByRole("button", { name: "Stop recording" }).waitFor();
        await until(async () => Number(await audio.getByRole("meter").getAttribute("aria-valuenow")) > 5, "the level shows");
        await shot(page, "recording");
        await sleep(1000);
        await audio.getByRole("button", { name: "Stop recording" }).click();
        await audio.getByRole("button", { name: "Play" }).waitFor();
        await press(page, "audio_echo");
        const out = block(page, "Audio out").getByRole("button", { name: "Play" });
        await out.waitFor();
        const head = await page.evaluate(async () => {
            const { app } = await import("./assets/app.js");
            const file = [...app.components.values()].find((c) => c.props.label === "Audio in").value;
            const b = await (await fetch(file.url)).arrayBuffer(), v = new DataView(b), s = new Int16Array(b.slice(44));
            return { name: file.orig_name, tag: v.getUint32(0), channels: v.getUint16(22, true), rate: v.getUint32(24, true), bits: v.getUint16(34, true), seconds: s.length / v.getUint32(24, true), loud: Math.max(...s.map(Math.abs).slice(-40000)) };
        });
        equal([head.name, head.tag, head.channels, head.bits], ["audio.wav", 0x52494646, 1, 16], "a WAV of 16 bits, one channel");
        check(head.seconds > 0.8 && head.loud > 500, `sound in it: ${JSON.stringify(head)}`);
    },
    async stream_in(page) {
        const mic = block(page, "Mic stream");
        await mic.getByRole("button", { name: "Record" }).click();
        await until(async () => /chunk [3-9]/.test(await field(page, "Out 2").inputValue()), "chunks are counted", 10000);
        await mic.getByRole("button", { name: "Stop recording" }).click();
        await mic.getByRole("button", { name: "Record" }).waitFor();
        await until(async () => (await page.locator("[aria-busy=true]").count()) === 0, "the stream has ended");
    },
    async keyboard(page) {
        await field(page, "Text").focus();
        await page.keyboard.type("typed");
        for (let i = 0; i < 60; i++) {
            await page.keyboard.press("Tab");
            if (await page.evaluate(() => document.activeElement?.textContent === "echo")) break;
        }
        equal(await page.evaluate(() => document.activeElement?.textContent), "echo", "the button is reached by Tab");
        check(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle !== "none"), "the focus can be seen");
        await page.keyboard.press("Enter");
        await value(page, "Out", "typed");
        await page.getByRole("button", { name: "Use via API" }).focus();
        await page.keyboard.press("Enter");
        await page.locator("dialog[open]").waitFor();
        await page.keyboard.press("Escape");
        await until(async () => (await page.locator("dialog").count()) === 0, "Escape closes the panel");
        equal(await page.evaluate(() => document.activeElement?.textContent), "Use via API", "the focus is back");
    },
    async names(page) {
        const nameless = await page.evaluate(() => [...document.querySelectorAll("button, input, textarea, select, [role=slider]")].filter((e) => e.checkVisibility() && !e.closest("[aria-hidden=true]") &&
            !(e.textContent.trim() || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.labels?.length || e.title)).map((e) => e.outerHTML.slice(0, 120)));
        equal(nameless, [], "controls without a name");
        equal(await page.locator("main").count(), 1, "one main part");
        check(await page.evaluate(() => document.documentElement.lang) === "en", "the language is said");
    },
    async api(page) {
        await page.getByRole("button", { name: "Use via API" }).click();
        const panel = page.locator("dialog.api");
        await panel.getByText("/echo", { exact: true }).waitFor();
        check(!(await panel.innerText()).includes("hidden_one"), "private endpoints are not listed");
        await panel.locator("details", { hasText: "/file_echo" }).locator("summary").click();
        check((await panel.innerText()).includes("handle_file"), "files are handled in the snippet");
        await panel.getByRole("tab", { name: "curl" }).nth(0).click();
        check((await panel.innerText()).includes("/gradio_api/call/v2/echo"), "curl's snippet");
        await shot(page, "api");
    },
    async settings(page) {
        await page.getByRole("button", { name: "Settings" }).click();
        await page.getByLabel("Appearance").selectOption("dark");
        equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark", "theme");
        await Promise.all([page.waitForEvent("load"), page.getByLabel("Language").selectOption("zh")]);
        await page.getByRole("button", { name: "通过 API 使用" }).waitFor();
        await page.waitForSelector("html.ready");
        equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark", "the theme is kept");
        await shot(page, "chinese-dark");
    },
    async xss(page) {
        const bad = "<img src=x onerror=\"window.bad=1\"><script>window.bad=2</script>[x](javascript:window.bad=3)";
        await field(page, "Text").fill(bad);
        await press(page, "echo");
        await value(page, "Out", bad);
        const html = await page.evaluate(async (text) => {
            const { app } = await import("./assets/app.js");
            const { build, parseHtml } = await import("./assets/sanitise.js");
            const { parseMarkdown } = await import("./assets/markdown.js");
            const box = document.createElement("div");
            document.body.append(box);
            box.append(build(parseHtml(text)), build(parseMarkdown(text)));
            app.toast({ message: text, title: text });
            await new Promise((resolve) => setTimeout(resolve, 300));
            return { bad: window.bad, markup: box.innerHTML };
        }, bad);
        equal(html.bad, undefined, "nothing ran");
        check(!/onerror|<script|href/i.test(html.markup), `clean: ${html.markup}`);
        check(await page.locator(".toast", { hasText: "<script>" }).count(), "a toast shows markup as text");
    },
    async lost(page) {
        page.expected = /Failed to load/;
        await page.route("**/gradio_api/**", (r) => r.abort());
        await press(page, "echo");
        await page.locator(".banner").waitFor();
        await page.unroute("**/gradio_api/**");
        await until(async () => (await page.locator(".banner").count()) === 0, "the banner goes", 6000);
        await field(page, "Text").fill("again");
        await press(page, "echo");
        await value(page, "Out", "again");
    },
    async modules(page) {
        const got = await page.evaluate(async () => {
            const { app } = await import("./assets/app.js");
            await app.ready;
            const values = [], msgs = [];
            for await (const m of app.call("/count", [3])) {
                msgs.push(m.msg);
                if (m.data) values.push(m.data[0]);
            }
            const file = await app.upload(new Blob(["abc"]), "a.txt");
            const back = await app.predict("/file_echo", [file]);
            let error = null;
            try {
                await app.predict("/fail", ["x"]);
            } catch (e) {
                error = [e.name, e.message, e.title];
            }
            const stop = new AbortController(), some = [];
            for await (const m of app.call("/stepper", [50], { signal: stop.signal })) {
                some.push(m.msg);
                if (m.data) stop.abort();
            }
            return { values, first: msgs[0], text: await (await fetch(back[0].url)).text(), error, last: some.at(-1) };
        });
        equal(got, { values: ["0 ", "0 1 ", "0 1 2 ", "0 1 2 "], first: "estimation", text: "abc", error: ["AppError", "the ball is broken", "Ball error"], last: "process_completed" }, "app.call");
    },
};

/* These open pages of their own kind. */
const special = {
    async narrow() {
        const page = await visit(base, { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
        await value(page, "Out 2", "loaded");
        check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "no scrolling sideways");
        await shot(page, "narrow");
        return page;
    },
    async dark() {
        const page = await visit(base, { colorScheme: "dark" });
        check(await page.evaluate(() => /^rgb\((\d+), \1, |^rgb\([0-4]?\d, /.test(getComputedStyle(document.documentElement).backgroundColor)), "the background is dark");
        await shot(page, "wide-dark");
        return page;
    },
    async arabic() {
        const page = await visit(base, { locale: "ar" });
        equal(await page.evaluate(() => [document.documentElement.dir, document.documentElement.lang]), ["rtl", "ar"], "direction");
        const [text, n] = [await field(page, "Text").boundingBox(), await field(page, "N").boundingBox()];
        check(text.x > n.x, "the first field is at the right");
        await shot(page, "arabic");
        return page;
    },
    async insecure() {
        const page = await visit(base);
        await page.addInitScript(() => Object.defineProperty(window, "isSecureContext", { value: false }));
        await page.reload();
        await page.waitForSelector("html.ready");
        await page.getByText("The microphone works only over https").first().waitFor();
        check(await block(page, "Mic stream").getByRole("button", { name: "Record" }).isDisabled(), "the button is off");
        return page;
    },
    async still() {
        const page = await visit(base, { reducedMotion: "reduce" });
        await press(page, "tone");
        return page;
    },
};

for (const [name, fn] of Object.entries(tests)) await test(name, fn, base);
for (const [name, fn] of Object.entries(special)) await test(name, fn);
await finish();
