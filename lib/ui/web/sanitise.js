/* HTML from outside, read by a small parser of our own into a tree of what is allowed; the page's elements are made from that tree, so
 * no markup ever reaches the browser's parser. What is not on the lists is left out: elements (their text stays), attributes, addresses.
 *
 *   node = text | { tag, attrs: {name: text}, children: [node] } */
import { safeUrl } from "./dom.js";

const words = (s) => new Set(s.split(" "));
const allowed = words("a abbr article aside b bdi bdo blockquote br caption center cite code col colgroup dd del details dfn div dl dt em " +
    "figcaption figure footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li mark ol p pre q rp rt ruby s samp section small span strike strong sub " +
    "summary sup table tbody td tfoot th thead time tr u ul var wbr");
const empty = words("br hr img wbr col area base embed input link meta param source track");
/* Left out with all that is in them; the first ones hold raw text up to their end tag. */
const raw = words("script style textarea title xmp iframe noembed noframes noscript plaintext");
const gone = words("svg math template object select canvas audio video applet frameset head dialog");
const closes = { li: words("li"), dt: words("dt dd"), dd: words("dt dd"), tr: words("tr td th"), td: words("td th"), th: words("td th"), p: words("p") };
for (const tag of "h1 h2 h3 h4 h5 h6 div ul ol table pre blockquote hr section article figure details".split(" ")) closes[tag] = words("p");
const scopes = words("ul ol dl table blockquote div section details");

const everywhere = words("title lang dir align");
const attributes = { a: words("href"), img: words("src alt width height"), td: words("colspan rowspan"), th: words("colspan rowspan scope"), ol: words("start reversed type"),
    details: words("open"), time: words("datetime"), col: words("span"), colgroup: words("span"), li: words("value") };

const entities = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", copy: "©", reg: "®", trade: "™", hellip: "…", mdash: "—", ndash: "–", lsquo: "‘",
    rsquo: "’", ldquo: "“", rdquo: "”", bull: "•", middot: "·", times: "×", deg: "°", euro: "€", pound: "£", larr: "←", rarr: "→", uarr: "↑", darr: "↓" };

export function decode(text) {
    return text.replace(/&(#x[0-9a-f]{1,6}|#\d{1,7}|[a-z][a-z0-9]{1,15});?/gi, (all, name) => {
        if (name[0] !== "#") return entities[name] ?? entities[name.toLowerCase()] ?? all;
        const code = /^#x/i.test(name) ? parseInt(name.slice(2), 16) : parseInt(name.slice(1), 10);
        return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code < 0xe000) ? String.fromCodePoint(code) : "\ufffd";
    });
}

const properties = /^(text-align|text-decoration|text-transform|color|background-color|font-(weight|style|size|family|variant)|(margin|padding)(-(top|right|bottom|left|inline|block))?|(max-|min-)?(width|height)|border(-(top|right|bottom|left|color|style|width|radius|collapse|spacing))?|display|line-height|letter-spacing|white-space|word-break|opacity|gap|justify-content|align-items|align-self|flex(-(direction|wrap|grow))?|vertical-align|list-style(-type)?|float|clear|direction)$/;

/* [[property, value]…]: nothing that is placed freely, points anywhere, or reaches out of its box. */
export function styleOf(text) {
    const out = [];
    for (const part of decode(text).split(";").slice(0, 40)) {
        const at = part.indexOf(":"), name = part.slice(0, at).trim().toLowerCase(), value = part.slice(at + 1).replace(/!important/i, "").trim();
        const plain = value.replace(/\b(rgba?|hsla?)\([\d\s.,%/]*\)/gi, "");
        if (at > 0 && properties.test(name) && value.length < 120 && /^['"\w\s.,%#/-]*$/.test(plain) && !/(^|[\s,])-/.test(plain)) out.push([name, value]);
    }
    return out;
}

/* The attributes of a tag that may stay. */
export function clean(tag, attrs, { classes = false } = {}) {
    const out = {};
    for (const [name, value] of Object.entries(attrs)) {
        if (name === "style") {
            const style = styleOf(value);
            if (style.length) out.style = style;
        } else if (name === "class") {
            if (classes) out.class = value;
        } else if (name === "href" || name === "src") {
            const url = attributes[tag]?.has(name) ? safeUrl(value, name === "href" ? "link" : "media") : null;
            if (url) out[name] = url;
        } else if (everywhere.has(name) || attributes[tag]?.has(name)) out[name] = value;
    }
    return out;
}

const tagAt = /<(\/?)([a-z][a-z0-9-]*)((?:[^>"']|"[^"]*"|'[^']*')*?)(\/?)>/iy;
const attrAt = /([^\s=/>"']+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g;

/* A tag at text[at], or null: { close, tag, attrs, length }. */
export function tagOf(text, at) {
    tagAt.lastIndex = at;
    const m = text.indexOf(">", at) < 0 ? null : tagAt.exec(text);
    if (!m || m[0].length > 20000) return null;
    const attrs = {};
    for (const a of m[3].matchAll(attrAt)) attrs[a[1].toLowerCase()] ??= decode(a[2] ?? a[3] ?? a[4] ?? "");
    return { close: m[1] === "/", tag: m[2].toLowerCase(), attrs, length: m[0].length };
}

export function parseHtml(text, options = {}) {
    const root = { tag: "", children: [] }, stack = [root];
    const say = (s) => s && stack[stack.length - 1].children.push(decode(s));
    let at = 0, skipping = null, deep = 0;
    text = String(text).slice(0, 2000000);
    for (;;) {
        const next = text.indexOf("<", at);
        if (!skipping) say(text.slice(at, next < 0 ? undefined : next));
        if (next < 0) break;
        at = next;
        if (/[!?]/.test(text[at + 1])) { /* a comment or a declaration */
            const shut = text.startsWith("<!--", at) ? "-->" : ">", end = text.indexOf(shut, at);
            at = end < 0 ? text.length : end + shut.length;
            continue;
        }
        const t = tagOf(text, at);
        if (!t) {
            if (!skipping) say("<");
            at++;
            continue;
        }
        at += t.length;
        if (skipping) {
            if (t.tag === skipping) deep += t.close ? -1 : 1;
            if (deep <= 0) skipping = null;
            continue;
        }
        if (raw.has(t.tag) && !t.close) {
            const end = new RegExp(`</${t.tag}[\\s/>]`, "gi");
            end.lastIndex = at;
            const m = end.exec(text);
            at = m ? text.indexOf(">", m.index) + 1 || text.length : text.length;
            continue;
        }
        if (gone.has(t.tag)) {
            if (!t.close) [skipping, deep] = [t.tag, 1];
            continue;
        }
        if (!allowed.has(t.tag)) continue;
        if (t.close) {
            const i = stack.findLastIndex((n) => n.tag === t.tag);
            if (i > 0) stack.length = i;
            continue;
        }
        for (let i = stack.length - 1, shut = closes[t.tag]; shut && i > 0; i--) {
            if (shut.has(stack[i].tag)) {
                stack.length = i;
                if (t.tag === "tr") continue;
                break;
            }
            if (scopes.has(stack[i].tag)) break;
        }
        const node = { tag: t.tag, attrs: clean(t.tag, t.attrs, options), children: [] };
        stack[stack.length - 1].children.push(node);
        if (!empty.has(t.tag) && stack.length < 100) stack.push(node);
    }
    return root.children;
}

/* Elements of a tree. local(url) may turn the server's addresses into ones that this page reaches. */
export function build(nodes, local = (url) => url) {
    const out = document.createDocumentFragment();
    for (const node of nodes) {
        if (typeof node === "string") {
            out.append(node);
            continue;
        }
        const el = document.createElement(node.tag);
        for (const [name, value] of Object.entries(node.attrs ?? {})) {
            if (name === "style") for (const [k, v] of value) el.style.setProperty(k, v);
            else el.setAttribute(name, name === "src" || name === "href" ? local(value) : value);
        }
        if (node.tag === "a" && el.host !== location.host) Object.assign(el, { target: "_blank", rel: "noopener noreferrer nofollow" });
        if (node.tag === "img") el.alt ||= ""; /* without one a screen reader spells the address */
        el.append(build(node.children ?? [], local));
        out.append(el);
    }
    return out;
}
