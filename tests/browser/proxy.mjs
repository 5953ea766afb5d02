/* For trying the page against the original: serves our page and assets, with the original's config inlined as the C server does it, and
 * passes all else on.   usage: node proxy.mjs PORT ORIGINAL-URL [MP3-FILE]
 * WEB: another folder to take the page from, such as one that was squeezed.
 * /test/stream.mp3?bytes=N&every=MS sends the MP3 file in pieces, as our server's growing answer would. */
import { createServer, request } from "node:http";
import { readFileSync, existsSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";

const [port, original, mp3] = [Number(process.argv[2]), process.argv[3], process.argv[4]];
const web = process.env.WEB ? `${process.env.WEB}/` : fileURLToPath(new URL("../../lib/ui/web/", import.meta.url));
const types = { js: "text/javascript", css: "text/css", svg: "image/svg+xml", html: "text/html" };

const escapeJson = (o) => JSON.stringify(o).replace(/[<>&'\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
const escapeHtml = (s) => String(s).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

async function page(req, res) {
    const head = { cookie: req.headers.cookie ?? "", "x-forwarded-host": req.headers.host, "accept-language": "en" };
    const text = await (await fetch(`${original}/`, { headers: head })).text();
    const grab = (name) => {
        const m = new RegExp(`window\\.${name} = (\\{.*?\\});\\s*(window\\.|</script>)`, "s").exec(text);
        return m ? JSON.parse(m[1]) : {};
    };
    const config = grab("gradio_config"), info = grab("gradio_api_info"), nonce = randomBytes(16).toString("base64");
    const fill = { NONCE: nonce, TITLE: escapeHtml(config.title ?? "App"), CONFIG: escapeJson(config), INFO: escapeJson(info), HEAD: "" };
    const html = readFileSync(`${web}index.html`, "utf8").replace(/%([A-Z]+)%/g, (all, name) => fill[name] ?? all);
    res.writeHead(200, { "content-type": "text/html; charset=utf-8", "content-security-policy": `default-src 'self'; script-src 'self' 'nonce-${nonce}'; ` +
        `style-src 'self' 'nonce-${nonce}'; img-src 'self' data: blob:; media-src 'self' blob: data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; ` +
        "base-uri 'none'; frame-ancestors 'self'" });
    res.end(html);
}

async function stream(url, res) {
    const data = readFileSync(mp3), n = Number(url.searchParams.get("bytes") ?? 4000), every = Number(url.searchParams.get("every") ?? 100);
    res.writeHead(200, { "content-type": "audio/mpeg", "cache-control": "no-store" });
    for (let at = 0; at < data.length && !res.destroyed; at += n) {
        res.write(data.subarray(at, at + n));
        await new Promise((resolve) => setTimeout(resolve, every));
    }
    res.end();
}

createServer(async (req, res) => {
    const url = new URL(req.url, "http://x"), path = url.pathname;
    try {
        if (path === "/") return await page(req, res);
        if (path === "/test/stream.mp3" && mp3) return await stream(url, res);
        const asset = /^\/assets\/([\w.-]+)$/.exec(path)?.[1];
        if (asset && existsSync(web + asset)) {
            res.writeHead(200, { "content-type": types[asset.split(".").pop()] ?? "application/octet-stream", "cache-control": "no-store" });
            return res.end(readFileSync(web + asset));
        }
        const to = new URL(req.url, original);
        const out = request(to, { method: req.method, headers: { ...req.headers, host: to.host, "x-forwarded-host": req.headers.host } }, (back) => {
            res.writeHead(back.statusCode, back.headers);
            back.pipe(res);
        });
        out.on("error", () => res.destroy());
        res.on("close", () => out.destroy());
        req.pipe(out);
    } catch (e) {
        res.writeHead(500).end(String(e));
    }
}).listen(port, "127.0.0.1", function () {
    console.log(`http://127.0.0.1:${this.address().port}`);
});
