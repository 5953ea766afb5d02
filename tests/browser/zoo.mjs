/* Every type of component, drawn from a config of the original (zoo.json, made by zoo.py), its server played by this test: what a visitor
 * does, what the page sends, what it makes of the answers.   usage: node zoo.mjs --lab URL (any server of the page: its assets are used) */
import { readFileSync } from "node:fs";
import { address, block, browser, check, equal, field, finish, press, shot, skip, sleep, test, until, value } from "./kit.mjs";

const base = address("LAB"), config = JSON.parse(readFileSync(new URL("zoo.json", import.meta.url), "utf8"));
const named = (name) => config.dependencies.find((d) => d.api_name === name);

/* answers: endpoint -> (data) => values. page.sent gets [endpoint, data] of each call. */
async function zoo(answers = {}, options = {}) {
    if (!base) skip("no lab is named");
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-US", ...options }), page = await context.newPage();
    Object.assign(page, { problems: [], sent: [] });
    page.on("pageerror", (e) => page.problems.push(e.message));
    page.on("console", (m) => m.type() === "error" && page.problems.push(m.text()));
    page.setDefaultTimeout(8000);
    let waiting = [];
    await page.route("**/gradio_api/**", (r) => r.fulfill({ status: 404, body: "{}" }));
    await page.route("**/gradio_api/queue/join*", (r) => {
        const { fn_index, data } = r.request().postDataJSON(), name = config.dependencies.find((d) => d.id === fn_index).api_name, event_id = `e${page.sent.length}`;
        page.sent.push([name, data]);
        waiting.push({ event_id, data: answers[name]?.(data) ?? [] });
        return r.fulfill({ json: { event_id } });
    });
    await page.route("**/gradio_api/run/predict", (r) => { /* queue: false */
        const { fn_index, data } = r.request().postDataJSON(), name = config.dependencies.find((d) => d.id === fn_index).api_name;
        page.sent.push([name, data]);
        return r.fulfill({ json: { data: answers[name]?.(data) ?? [], is_generating: false } });
    });
    await page.route("**/gradio_api/queue/data*", (r) => {
        const messages = waiting.flatMap(({ event_id, data }) => [{ msg: "process_starts", event_id, eta: null }, { msg: "process_completed", event_id, success: true, output: { data, is_generating: false } }]);
        waiting = [];
        return r.fulfill({ contentType: "text/event-stream", body: [...messages, { msg: "close_stream", event_id: null }].map((m) => `data: ${JSON.stringify(m)}\n\n`).join("") });
    });
    await page.route((url) => url.href === `${base}/`, async (r) => {
        const answer = await r.fetch(), text = await answer.text(), json = JSON.stringify(config).replace(/[<>&']/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`);
        return r.fulfill({ response: answer, body: text.replace(/window\.gradio_config = .*?;\s*window\./s, () => `window.gradio_config = ${json};\nwindow.`) });
    });
    await page.goto(`${base}/`);
    await page.waitForSelector("html.ready");
    return page;
}
const calls = (page, name) => page.sent.filter(([n]) => n === name).map(([, data]) => data);

const tests = {
    async zoo_fields() {
        const page = await zoo({ show: (data) => [data] });
        await field(page, "Lines").fill("one\ntwo");
        await field(page, "Secret").fill("pss");
        await field(page, "Number").fill("9");
        await field(page, "Slider").focus();
        await page.keyboard.press("ArrowRight");
        await page.getByRole("checkbox", { name: "Check me" }).check();
        await page.getByRole("group", { name: "Colours" }).getByRole("checkbox", { name: "Blue shown" }).check();
        await page.getByRole("radiogroup", { name: "Size" }).getByRole("radio", { name: "large" }).check();
        await field(page, "Animal").click();
        await page.keyboard.type("rare");
        await page.keyboard.press("Enter");
        await field(page, "Letters").focus();
        for (const key of ["ArrowDown", "ArrowDown", "ArrowDown", "Enter"]) await page.keyboard.press(key);
        await page.keyboard.type("own");
        await page.keyboard.press("Enter");
        await page.keyboard.press("Escape");
        await press(page, "Show");
        await until(() => calls(page, "show").length, "the call");
        equal(calls(page, "show")[0], ["one\ntwo", "pss", 9, 4.5, true, ["red", "blue"], "large", "rare", ["a", "b", "own"]], "values");
        await value(page, "Animal", "A very rare animal");
        await until(async () => (await block(page, "Values").innerText()).includes('"own"'), "they come back as JSON");
        equal(calls(page, "changed").at(-1), [4.5], "the slider's change was told");
        equal(calls(page, "selected").length, 1, "select was told once");
        await field(page, "Letters").focus();
        await page.keyboard.press("Backspace");
        await shot(page, "zoo-fields");
        await press(page, "Clear all");
        await value(page, "Lines", "");
        await press(page, "Show");
        await until(() => calls(page, "show").length === 2, "the second call");
        equal(calls(page, "show")[1], [null, null, null, 0, false, [], null, null, null], "Clear's constants");
        return page;
    },
    async zoo_text() {
        const page = await zoo({ upper: ([t]) => [t.toUpperCase()] });
        await field(page, "Lines").fill("a");
        await field(page, "Lines").press("Enter");
        await page.keyboard.type("b");
        equal(calls(page, "upper").length, 0, "Enter makes a line where there are several");
        await field(page, "Lines").press("Shift+Enter");
        await value(page, "Lines", "A\nB");
        const tall = (await field(page, "Lines").boundingBox()).height;
        await field(page, "Lines").fill("1\n2\n3\n4\n5");
        check((await field(page, "Lines").boundingBox()).height > tall, "it grows");
        const five = (await field(page, "Lines").boundingBox()).height;
        await field(page, "Lines").fill("x\n".repeat(30));
        check((await field(page, "Lines").boundingBox()).height < five * 1.5, "up to max_lines");
        equal(await field(page, "Secret").getAttribute("type"), "password", "hidden");
        return page;
    },
    async zoo_layout() {
        const page = await zoo({ load_example: ([i]) => config.components.find((c) => c.type === "dataset").props.samples[i], flip: () => [{ open: true, __type__: "update" }] });
        const tab = (name) => page.getByRole("tab", { name });
        equal(await tab("Fields").getAttribute("aria-selected"), "true", "the first tab");
        await tab("Fields").focus();
        await page.keyboard.press("ArrowRight");
        equal(await page.evaluate(() => document.activeElement.textContent), "Data", "arrows go through tabs");
        await page.getByRole("tabpanel", { name: "Data" }).waitFor();
        check(!(await field(page, "Lines").isVisible()), "the other panel is hidden");
        await page.keyboard.press("End");
        await page.getByRole("tabpanel", { name: "Media" }).waitFor();
        check(!(await field(page, "Inside").isVisible()), "the accordion is shut");
        await press(page, "Flip");
        await field(page, "Inside").waitFor();
        await page.locator("summary", { hasText: "More" }).click();
        await until(async () => !(await field(page, "Inside").isVisible()), "a click shuts it");
        await page.getByRole("button", { name: "a longer example" }).click();
        await value(page, "First", "a longer example of words");
        equal(calls(page, "load_example")[0], [1], "an example is told by its index");
        check(!(await field(page, "Never seen").isVisible()), "what is not visible");
        await press(page, "Open the side panel");
        await page.getByText("Words in the side panel.").waitFor();
        await shot(page, "zoo-sidebar");
        await press(page, "Close the side panel");
        equal(await page.locator("#flip").count(), 1, "elem_id");
        return page;
    },
    async zoo_data() {
        const page = await zoo();
        await page.getByRole("tab", { name: "Data" }).click();
        const text = await page.getByRole("tabpanel", { name: "Data" }).innerText();
        for (const want of ["70%", "animal", "=cmd()", "return x + 1", "A quotation.", "nested", "Centred", "Hello, you", "Hi!"]) check(text.includes(want), `${want} is not shown`);
        check(!text.includes("window.bad"), "scripts are left out");
        await page.getByRole("columnheader", { name: "n", exact: true }).last().getByRole("button").or(block(page, "Table").getByRole("button", { name: "n", exact: true })).first().click();
        equal(await block(page, "Table").locator("tbody tr td:first-child").allInnerTexts(), ["=cmd()", "b", "a"], "sorted by number");
        equal(await page.evaluate(() => window.bad), undefined, "nothing ran");
        equal(await page.locator("main :is(script, style, form, iframe, svg:not(.icon), [onclick], [onerror])").count(), 0, "no such elements");
        check(await page.getByText("Centred").evaluate((e) => getComputedStyle(e).textAlign === "center" && getComputedStyle(e).position === "static"), "a style is kept only as far as it is harmless");
        await field(page, "Editable code").fill("new");
        await shot(page, "zoo-data");
        return page;
    },
    async zoo_timer() {
        const page = await zoo({ tick: ([n]) => [n < 3 ? n + 1 : { __type__: "update" }] });
        await until(() => calls(page, "tick").length >= 5, "ticks");
        await value(page, "Ticks", "3");
        equal(calls(page, "tick").slice(0, 4), [[0], [1], [2], [3]], "one after the other");
        return page;
    },
    async zoo_files() {
        const page = await zoo();
        let uploads = 0;
        await page.route("**/gradio_api/upload?*", (r) => r.fulfill({ json: [`/tmp/up/${uploads++}.png`] }));
        await page.route("**/gradio_api/file=*", (r) => r.fulfill({ contentType: "image/png", body: Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64") }));
        await page.getByRole("tab", { name: "Media" }).click();
        const give = async (label, ...files) => {
            const chooser = page.waitForEvent("filechooser");
            await block(page, label).getByRole("button", { name: /Drop/ }).click();
            await (await chooser).setFiles(files);
        };
        const png = (name) => ({ name, mimeType: "image/png", buffer: Buffer.from("x") });
        await give("Picture", png("a.png"));
        await block(page, "Picture").locator("img").waitFor();
        await press(page, "Full screen");
        await page.locator("dialog[open]").waitFor();
        await page.keyboard.press("Escape");
        await block(page, "Picture").getByRole("button", { name: "Clear" }).click();
        await give("Picture", { name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("x") });
        await page.getByRole("alert").filter({ hasText: "a.txt" }).waitFor();
        await give("Files", png("one.png"));
        await block(page, "Files").getByText("one.png").waitFor();
        await give("Files", png("two.png"));
        await block(page, "Files").getByText("two.png").waitFor();
        await press(page, "Remove one.png");
        equal(await block(page, "Files").getByRole("listitem").count(), 1, "one is left");
        await give("Gallery", png("g.png"));
        await block(page, "Gallery").locator("img").waitFor();
        page.expected = /404 \(/;
        return page;
    },
    async zoo_reflow() {
        const page = await zoo({}, { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, colorScheme: "dark", locale: "ar" });
        for (const name of ["Fields", "Data", "Media"]) {
            await page.getByRole("tab", { name }).click();
            await sleep(100);
            check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} does not scroll sideways`);
            await shot(page, `zoo-narrow-${name}`);
        }
        return page;
    },
};
check(named("show") && named("flip"), "zoo.json is not what zoo.py makes");
for (const [name, fn] of Object.entries(tests)) await test(name, fn);
await finish();
