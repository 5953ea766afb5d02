/* The page of the lab's variants: a login, an Interface, limits; and streamed sound, heard sample by sample.
 *   usage: node variants.mjs [--lab URL] [--auth URL] [--iface URL] [--full URL]    (or LAB, AUTH, IFACE, FULL) */
import { address, block, check, equal, field, finish, press, shot, skip, sleep, test, until, value, visit } from "./kit.mjs";

const [lab, auth, iface, full] = ["LAB", "AUTH", "IFACE", "FULL"].map(address);

await test("login", async () => {
    if (!auth) skip("no lab with a login is named");
    const page = await visit(auth);
    page.expected = /40[01] \(/;
    check((await page.locator(".login").innerText()).includes("Say the word"), "the message is shown");
    check(!(await page.content()).includes("\"echo\""), "the app is not in the page");
    await shot(page, "login");
    await field(page, "User name").fill("admin");
    await field(page, "Password").fill("wrong");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").filter({ hasText: "wrong" }).waitFor();
    await field(page, "Password").fill("secret");
    await page.keyboard.press("Enter");
    await page.waitForSelector("html.ready");
    await field(page, "Text").fill("inside");
    await press(page, "echo");
    await value(page, "Out", "inside");
    await page.getByRole("link", { name: "Log out (admin)" }).click();
    await page.waitForSelector(".login");
    return page;
});

await test("interface", async () => {
    if (!iface) skip("no Interface is named");
    const page = await visit(iface);
    check((await page.getByRole("heading", { name: "Draw" }).count()) === 1, "the title");
    await page.getByRole("button", { name: "a blue square" }).click();
    await value(page, "Prompt", "a blue square");
    await field(page, "Prompt").press("Enter");
    await until(async () => (await block(page, "Images").locator("img").count()) === 2, "two pictures");
    await shot(page, "interface");
    await press(page, "Clear");
    await value(page, "Prompt", "");
    await until(async () => (await block(page, "Images").locator("img").count()) === 0, "Clear empties the gallery");
    check(await page.getByRole("button", { name: "Submit" }).isVisible(), "the buttons stay");
    return page;
});

await test("limits", async () => {
    if (!full) skip("no lab with limits is named");
    const page = await visit(full), more = [await visit(full), await visit(full)];
    page.expected = /503 \(/;
    for (const p of [...more, page]) {
        await field(p, "N").fill("2.5");
        const joined = p.waitForResponse((r) => r.url().includes("queue/join"));
        await press(p, "slow");
        await joined;
        await sleep(100);
    }
    await page.getByRole("alert").filter({ hasText: "Too many people" }).waitFor();
    for (const p of more) {
        await value(p, "Out", "slept");
        await p.context().close();
    }
    return page;
});

/* Opens a stream of MP3: the proxy's, or a run of `tone`; taps what the player gives out, and returns the samples as heard. */
const listen = (page, slow = 0) => page.evaluate(async (slow) => {
    const decode = OfflineAudioContext.prototype.decodeAudioData;
    if (slow) OfflineAudioContext.prototype.decodeAudioData = async function (data) {
        const sound = await decode.call(this, data);
        await new Promise((resolve) => setTimeout(resolve, slow));
        return sound;
    };
    const { app } = await import("./assets/app.js"), own = "test/stream.mp3?bytes=700&every=25";
    const given = (await fetch(own, { method: "HEAD" })).ok, player = app.player({ autoplay: true });
    let heard = [], ready;
    player.on("first", async () => {
        await player.ctx.audioWorklet.addModule("assets/recorder-worklet.js");
        const node = new AudioWorkletNode(player.ctx, "m8-recorder");
        node.port.onmessage = ({ data }) => heard.push(...data.samples);
        player.gain.connect(node);
        node.connect(player.ctx.destination);
        ready = () => node.port.postMessage("stop");
    });
    const over = new Promise((resolve) => player.on("ended", resolve));
    if (given) player.open(own);
    else {
        let open = false;
        for await (const m of app.call("/tone")) {
            if (m.data?.[0] && !open) {
                open = true;
                player.open(m.data[0]);
            }
        }
    }
    await over;
    ready();
    await new Promise((resolve) => setTimeout(resolve, 200));
    return { heard, stats: player.stats, rate: player.rate, duration: player.duration, sine: given, kind: player.frames.format.kind, bytes: player.blob().size };
}, slow);

await test("seamless", async (page) => {
    if (!page) skip("no lab is named");
    page.expected = /404 \(/;
    page.setDefaultTimeout(30000);
    const { heard, stats, rate, duration, sine, kind, bytes } = await listen(page);
    const begin = heard.findIndex((x) => Math.abs(x) > 0.01), end = heard.findLastIndex((x) => Math.abs(x) > 0.01), sound = heard.slice(begin, end);
    let quiet = 0, longest = 0, bend = 0, top = 0;
    for (let i = 1; i < sound.length - 1; i++) {
        quiet = Math.abs(sound[i]) < 0.003 ? quiet + 1 : 0;
        longest = Math.max(longest, quiet);
        if (i > rate / 10 && i < sound.length - rate / 10) bend = Math.max(bend, Math.abs(sound[i + 1] - 2 * sound[i] + sound[i - 1]));
        top = Math.max(top, Math.abs(sound[i]));
    }
    const late = Math.round(stats.firstAudible - stats.firstByte);
    console.log(`# ${kind} at ${rate}: ${(sound.length / rate).toFixed(2)} s heard of ${duration.toFixed(2)}, first sound ${late} ms after the first byte, longest silence ${(longest / rate * 1000).toFixed(1)} ms`);
    equal(stats.gaps, 0, "gaps");
    equal(bytes, stats.bytes, "all bytes are kept for download");
    check(sound.length / rate > duration - 0.3, `all of it is heard: ${sound.length / rate} s of ${duration} s`);
    if (sine) {
        /* A steady 440 Hz bends by top·(2π·440/rate)² from sample to sample and never more: a seam would. */
        check(longest / rate < 0.002, `a silence of ${longest / rate} s`);
        check(bend < 1.3 * top * (2 * Math.PI * 440 / rate) ** 2, `a seam: ${bend} where ${top * (2 * Math.PI * 440 / rate) ** 2} is due`);
    } else check(longest / rate < 0.12, `a silence of ${longest / rate} s`); /* the lab's pieces are encoded one by one, each with silence at its ends */
    if (kind === "mp3") check(late < 100, `audible ${late} ms after the first byte`);
}, lab);

/* More bytes come while a window is being decoded. */
await test("slow_decoder", async (page) => {
    if (!page) skip("no lab is named");
    page.expected = /404 \(/;
    page.setDefaultTimeout(30000);
    const { heard, rate, sine } = await listen(page, 70);
    if (!sine) skip("only with the proxy's stream");
    const begin = heard.findIndex((x) => Math.abs(x) > 0.01), sound = heard.slice(begin + rate / 5, heard.findLastIndex((x) => Math.abs(x) > 0.01) - rate / 5), top = Math.max(...sound);
    const bend = sound.slice(1, -1).reduce((most, x, i) => Math.max(most, Math.abs(sound[i + 2] - 2 * x + sound[i])), 0);
    check(bend < 1.3 * top * (2 * Math.PI * 440 / rate) ** 2, `a seam: ${bend}`);
}, lab);

await test("starved", async (page) => {
    if (!page) skip("no lab is named");
    const got = await page.evaluate(async () => {
        const { app } = await import("./assets/app.js");
        const answer = await fetch("test/stream.mp3?bytes=100000");
        if (!answer.ok) return null;
        const all = new Uint8Array(await answer.arrayBuffer()), player = app.player();
        const over = new Promise((resolve) => player.on("ended", resolve));
        player.push(all.subarray(0, 6000));
        await new Promise((resolve) => setTimeout(resolve, 1800)); /* a second of sound, then nothing for a while */
        const stuck = player.position;
        player.push(all.subarray(6000, 12000));
        player.finish();
        player.pause();
        const at = player.position;
        await new Promise((resolve) => setTimeout(resolve, 300));
        const rested = player.position === at;
        player.seek(1.5);
        player.play();
        await over;
        return { gaps: player.stats.gaps, stuck, rested, duration: player.duration };
    });
    page.expected = /404 \(/;
    if (!got) skip("only with the proxy's stream");
    check(got.stuck > 0.7 && got.stuck < 1.1, `it waits at the end of what there is: ${got.stuck}`);
    check(got.rested, "a pause holds its place");
    check(got.duration > 1.9, `both parts: ${got.duration}`);
}, lab);

await finish();
