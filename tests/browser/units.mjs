/* Parts of the page that need no browser: edits, frames, Markdown, the sanitiser, the WAV; and how large it all is.
 *   usage: node units.mjs [TRACES-FOLDER]      prints "ok page/NAME", "not ok page/NAME: why" */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { applyData, applyEdits } from "../../lib/ui/web/diff.js";
import { frameAt, Frames } from "../../lib/ui/web/frames.js";
import { parseMarkdown } from "../../lib/ui/web/markdown.js";
import { parseHtml, styleOf } from "../../lib/ui/web/sanitise.js";
import { safeUrl, same } from "../../lib/ui/web/dom.js";
import { constantsOf } from "../../lib/ui/web/page.js";

const web = fileURLToPath(new URL("../../lib/ui/web/", import.meta.url));
let failed = 0;
function test(name, fn) {
    try {
        fn();
        console.log(`ok page/${name}`);
    } catch (e) {
        failed++;
        console.log(`not ok page/${name}: ${String(e.message).split("\n")[0]}`);
    }
}
function equal(got, want, what = "") {
    if (JSON.stringify(got) !== JSON.stringify(want)) throw new Error(`${what}: expected ${JSON.stringify(want)}, got ${JSON.stringify(got)}`);
}
function throws(fn, what) {
    try {
        fn();
    } catch {
        return;
    }
    throw new Error(`${what} was taken`);
}
const html = (nodes) => nodes.map((n) => (typeof n === "string" ? n.replace(/&/g, "&amp;").replace(/</g, "&lt;") :
    `<${n.tag}${Object.entries(n.attrs ?? {}).map(([k, v]) => ` ${k}="${Array.isArray(v) ? v.map((x) => x.join(":")).join(";") : v}"`).join("")}>${html(n.children ?? [])}</${n.tag}>`)).join("");

test("edits", () => {
    equal(applyEdits("ab", [["append", [], "c"]]), "abc", "append");
    equal(applyEdits(null, [["append", [], "c"]]), "c", "append to nothing");
    equal(applyEdits([1, 2, 3], [["delete", [1], null], ["delete", [1], null]]), [1], "deletions count after the ones before");
    equal(applyEdits({ a: [{ b: "x" }] }, [["append", ["a", 0, "b"], "y"], ["add", ["a", 1], 5], ["add", ["c"], null], ["replace", ["a", 1], 6]]), { a: [{ b: "xy" }, 6], c: null }, "paths");
    equal(applyEdits({ a: 1, b: 2 }, [["delete", ["a"], null]]), { b: 2 }, "delete a key");
    const before = { a: [1] };
    applyEdits(before, [["add", ["a", 1], 2]]);
    equal(before, { a: [1] }, "the value before is left alone");
    equal(applyData(null, ["x", 1]), ["x", 1], "the first is whole");
    equal(applyData(["x", 1, null], [[["append", [], "y"]], [], []]), ["xy", 1, null], "later ones are edits");
    throws(() => applyEdits({}, [["replace", ["__proto__"], 1]]), "__proto__");
    throws(() => applyEdits({}, [["add", ["constructor", "prototype", "x"], 1]]), "a path through the prototype");
    throws(() => applyEdits("x", [["delete", [], null]]), "delete of a whole value");
});

/* What the original sent, event by event, must come out as its last, whole value. */
const traces = process.argv[2] ?? "tests/data/gradio";
if (!existsSync(traces)) console.log("skip page/recorded: no recorded answers of the original here");
else test("recorded", () => {
    let runs = 0;
    for (const name of readdirSync(traces).filter((n) => n.startsWith("queue-"))) {
        const open = new Map();
        const { exchange = [] } = JSON.parse(readFileSync(`${traces}/${name}`, "utf8"));
        for (const { data: m } of [exchange].flat().flatMap((x) => x.events ?? [])) {
            if (!m?.msg) continue;
            if (m.msg === "process_generating" && m.output.data) open.set(m.event_id, applyData(open.get(m.event_id), m.output.data));
            if (m.msg === "process_completed" && m.success && open.has(m.event_id)) {
                equal(open.get(m.event_id), m.output.data, name);
                runs++;
            }
        }
    }
    if (runs < 3) throw new Error(`only ${runs} runs of generators in ${traces}`);
});

/* MPEG-2 layer III, 22050 Hz, one channel, 48 kbit/s: 156 or 157 bytes a frame. */
function mp3(n, tag) {
    const size = (pad) => Math.floor(72 * 48000 / 22050) + pad, parts = [];
    for (let i = 0; i < n; i++) {
        const f = new Uint8Array(size(i % 2)).fill(i);
        f.set([0xff, 0xf3, 0x60 | (i % 2) << 1, 0xc4]);
        if (i === 0 && tag) f.set(Buffer.from(tag), 13);
        parts.push(...f);
    }
    return Uint8Array.from(parts);
}
function adts(n, size = 100) {
    const out = new Uint8Array(n * size).fill(7);
    for (let i = 0; i < n; i++) out.set([0xff, 0xf1, 0x50, 0x80 | size >> 11, size >> 3 & 255, (size & 7) << 5 | 0x1f, 0xfc], i * size);
    return out;
}

test("frames", () => {
    const bytes = mp3(40), whole = new Frames();
    whole.push(bytes);
    equal(whole.list.length, 40, "all at once");
    equal(whole.format && { ...whole.format, size: 0 }, { kind: "mp3", rate: 22050, size: 0, channels: 1, samples: 576 }, "format");
    equal(whole.samples, 40 * 576, "samples");
    for (const step of [1, 7, 155, 1000]) {
        const f = new Frames();
        for (let i = 0; i < bytes.length; i += step) f.push(bytes.subarray(i, i + step));
        f.finish();
        equal(f.list, whole.list, `in pieces of ${step}`);
    }
    equal(new Uint8Array(whole.bytes(3, 5)), bytes.slice(whole.list[3].at, whole.list[5].at), "bytes of two frames");
    if (whole.before(20) > 15 || whole.before(20) < 13 || whole.before(0) !== 0) throw new Error(`a window begins at ${whole.before(20)}`);
    const id3 = new Frames();
    id3.push(Uint8Array.from([0x49, 0x44, 0x33, 4, 0, 0, 0, 0, 1, 0, ...new Uint8Array(128).fill(0xff), 1, 2, 3, ...bytes]));
    equal(id3.list.length, 40, "a tag and rubbish before");
    const xing = new Frames();
    xing.push(mp3(5, "Info"));
    equal(xing.list.length, 4, "a frame that only tells about the file is left out");
    const aac = new Frames();
    aac.push(adts(9));
    equal([aac.list.length, aac.format.kind, aac.format.rate, aac.format.channels, aac.samples], [9, "aac", 44100, 2, 9216], "AAC");
    const broken = new Frames(), cut = Uint8Array.from([...bytes.slice(0, 1000), ...bytes.slice(1100)]);
    broken.push(cut);
    broken.finish();
    if (broken.list.length < 36) throw new Error(`after a hole only ${broken.list.length} frames`);
    equal(frameAt(Uint8Array.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0]), 0), null, "not a header");
    const noise = new Frames();
    for (let i = 0, x = 1; i < 200; i++) noise.push(Uint8Array.from({ length: 1000 }, () => (x = x * 48271 % 2147483647) & 255));
    noise.finish();
});

test("sanitiser", () => {
    const cases = [
        ["<b>bold</b> &amp; <i>x", "<b>bold</b> &amp; <i>x</i>"],
        ["<script>alert(1)</script>after", "after"],
        ["<scr<script>ipt>alert(1)</script>", "ipt>alert(1)"],
        ["<img src=x onerror=alert(1)>", "<img></img>"],
        ["<img src='/gradio_api/file=/tmp/a.png' alt=\"a\">", "<img src=\"/gradio_api/file=/tmp/a.png\" alt=\"a\"></img>"],
        ["<img src=logout><img src=/static/../logout><img src='/x?/file='>", "<img></img><img></img><img></img>"],
        ["<a href=\"java\nscript:alert(1)\">x</a><a href=' &#106;avascript:1'>y</a>", "<a>x</a><a>y</a>"],
        ["<a href=\"https://a.b/?c=d\" onclick=1 target=_top>x</a>", "<a href=\"https://a.b/?c=d\">x</a>"],
        ["<svg><a href=\"javascript:1\"><script>1</script></a></svg>t", "t"],
        ["<svg><svg></svg><b>in</b></svg>t", "t"],
        ["<style>*{color:red}</style><link rel=stylesheet href=x><base href=//evil>t", "t"],
        ["<form action=//e><input name=a value=b><button>go</button></form>", "go"],
        ["<iframe src=//e></iframe><object data=x>in</object><embed src=x>t", "t"],
        ["<p style=\"color: red; position: fixed; background: url(//e); width: calc(1px); margin: -9px; background-color: rgb(1, 2, 3)\">x</p>", "<p style=\"color:red;background-color:rgb(1, 2, 3)\">x</p>"],
        ["<ul><li>a<li>b</ul><table><tr><td>1<td>2<tr><td>3</table>", "<ul><li>a</li><li>b</li></ul><table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>"],
        ["<div id=main name=x class=toast data-x=1>x</div>", "<div>x</div>"],
        ["<!-- <b>no</b> --><!doctype html><?php 1 ?>x", "x"],
        ["1 < 2 && <3", "1 &lt; 2 &amp;&amp; &lt;3"],
        ["<textarea></textarea><script>", ""],
        ["<math><mtext><table><mglyph><style><img src=x onerror=1>", ""],
        ["</div></p><b/>x", "<b>x</b>"],
    ];
    for (const [from, to] of cases) equal(html(parseHtml(from)), to, from);
    equal(html(parseHtml("<div class=mine>x</div>", { classes: true })), "<div class=\"mine\">x</div>", "classes where an app wrote it");
    equal(styleOf("color:red;color:expression(1);background-image:url(x);--a:b;text-align:center"), [["color", "red"], ["text-align", "center"]], "style");
    equal(["https://a", "/x", "mailto:a@b", "javascript:1", "data:text/html,x", "vbscript:1", "JaVaScRiPt:1", "\u0001javascript:1"].map((u) => safeUrl(u) !== null),
        [true, true, true, false, false, false, false, false], "links");
    equal(["data:image/png;base64,AA", "data:image/svg+xml,<svg>", "blob:http://here/1", "https://elsewhere/a.png", "../logout", "http://here/logout"].map((u) => safeUrl(u, "media") !== null),
        [true, false, true, true, false, false], "pictures");
    const began = Date.now();
    for (const s of ["<b>".repeat(50000), "<".repeat(100000), "<a href=\"".repeat(20000), "<!--".repeat(50000), "<svg>".repeat(30000), "&".repeat(100000), "<script>".repeat(30000)]) parseHtml(s);
    if (Date.now() - began > 3000) throw new Error(`${Date.now() - began} ms for odd texts`);
});

test("markdown", () => {
    const cases = [
        ["# T\n\nhello **b *i* c** _x_ snake_case_name ~~del~~ `a*b`", "<h1>T</h1><p>hello <strong>b <em>i</em> c</strong> <em>x</em> snake_case_name <del>del</del> <code>a*b</code></p>"],
        ["***both*** **a** **b** 2 * 3 * 4", "<p><em><strong>both</strong></em> <strong>a</strong> <strong>b</strong> 2 * 3 * 4</p>"],
        ["- a\n- b\n  - c\n\ntext", "<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul><p>text</p>"],
        ["3) z\n4) q", "<ol start=\"3\"><li>z</li><li>q</li></ol>"],
        ["- [ ] to do\n- [x] done", "<ul><li>☐ to do</li><li>☑ done</li></ul>"],
        ["> q\nlazy", "<blockquote><p>q\nlazy</p></blockquote>"],
        ["a|b\n-|:-:\n1|2\\|3", "<table><thead><tr><th>a</th><th align=\"center\">b</th></tr></thead><tbody><tr><td>1</td><td align=\"center\">2|3</td></tr></tbody></table>"],
        ["Title\n===\nsub\n---", "<h1>Title</h1><h2>sub</h2>"],
        ["```js\n<b>x</b>\n```\n    four", "<pre><code>&lt;b>x&lt;/b></code></pre><pre><code>four</code></pre>"],
        ["[l](https://x.y \"t\") <https://a.b> https://c.d/e.", "<p><a title=\"t\" href=\"https://x.y\">l</a> <a href=\"https://a.b\">https://a.b</a> <a href=\"https://c.d/e\">https://c.d/e</a>.</p>"],
        ["[x](javascript:alert(1)) [y](&#106;avascript:1) ![z](data:text/html,1)", "<p><span>x</span> <span>y</span> z</p>"],
        ["<b onclick=1>b</b> <script>alert(1)</script> end", "<p><b>b</b>  end</p>"],
        ["<div style=\"color:red\">a *b*</div>", "<div style=\"color:red\">a *b*</div>"],
        ["a\\*b\\* &amp; a  \nb\\\nc", "<p>a*b* &amp; a<br></br>b<br></br>c</p>"],
        ["---\n***", "<hr></hr><hr></hr>"],
        ["text\n- item", "<p>text</p><ul><li>item</li></ul>"],
    ];
    for (const [from, to] of cases) equal(html(parseMarkdown(from)), to, from);
    equal(html(parseMarkdown("a\nb", { breaks: true })), "<p>a<br></br>b</p>", "line breaks");
    const began = Date.now();
    for (const s of ["*", "[", "`", "<a ", "> ", "- ", "_a", "`a", "![", "**a", "<b>", "|-", "1. ", "\\", "<https://", "~~"]) {
        parseMarkdown(s.repeat(20000));
        parseMarkdown(`${s}\n`.repeat(3000));
    }
    if (Date.now() - began > 6000) throw new Error(`${Date.now() - began} ms for odd texts`);
});

test("constants", () => {
    equal(constantsOf("() => [null, []]"), [null, []], "Clear");
    equal(constantsOf("() => [{\"variant\": null, \"visible\": true, \"__type__\": \"update\"}]\n            "), [{ variant: null, visible: true, __type__: "update" }], "an update");
    for (const js of [null, "", "(x) => [x]", "() => [alert(1)]", "() => { return [1] }", "() => [1] + alert(2)"]) equal(constantsOf(js), null, String(js));
});

test("same", () => {
    equal([same({ a: [1, null] }, { a: [1, null] }), same([], {}), same({ a: undefined }, {}), same(null, {}), same("1", 1)], [true, false, false, false, false]);
});

test("texts", () => {
    const source = readFileSync(`${web}texts.js`, "utf8");
    const keys = (lang) => [...source.split(`    ${lang}: {`)[1].split("\n    },")[0].matchAll(/(?:^|[\s,])(\w+): "/g)].map((m) => m[1]).sort();
    for (const lang of ["zh", "ar"]) equal(keys(lang), keys("en"), lang);
});

/* As the library serves them: the build squeezes scripts and style sheets (tools/pack.c). */
test("sizes", () => {
    const files = readdirSync(web).filter((n) => !n.endsWith(".build")), tools = fileURLToPath(new URL("../../tools/", import.meta.url));
    const folder = mkdtempSync(join(tmpdir(), "pack-")), pack = join(folder, "pack");
    execFileSync(process.env.CC ?? "cc", ["-o", pack, `${tools}pack.c`, `${tools}squeeze.c`]);
    let bytes = 0, packed = 0;
    for (const name of files) {
        const text = execFileSync(pack, ["-s", web + name]);
        bytes += text.length;
        packed += gzipSync(text).length;
        if (!name.endsWith(".js") || name === "theme.js" || name === "recorder-worklet.js") continue;
        writeFileSync(join(folder, `${name.slice(0, -3)}.mjs`), text);
        execFileSync(process.execPath, ["--check", join(folder, `${name.slice(0, -3)}.mjs`)]);
    }
    rmSync(folder, { recursive: true });
    console.log(`# ${files.length} files, ${bytes} bytes, ${packed} under gzip`);
    if (bytes >= 150000) throw new Error(`${bytes} bytes, more than 150,000`);
});
process.exit(failed ? 1 : 0);
