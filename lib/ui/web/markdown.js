/* Markdown to the tree of sanitise.js: headings, paragraphs, lists, quotes, code, tables, rules, links, pictures, emphasis, and HTML within it,
 * cleaned. Every step moves forward, so long and odd texts take time in proportion. */
import { safeUrl } from "./dom.js";
import { clean, decode, parseHtml, tagOf } from "./sanitise.js";

const el = (tag, children = [], attrs = {}) => ({ tag, attrs, children });
const inlineTags = new Set("a abbr b br cite code del em i img ins kbd mark q s small span strong sub sup u var wbr".split(" "));
const matchAt = (re, s, at) => {
    re.lastIndex = at;
    return re.exec(s);
};

function link(s, at, depth, options) {
    const picture = s[at] === "!", open = at + picture;
    let end = open + 1;
    for (let level = 1; end < s.length && end - open < 2000; end++) {
        if (s[end] === "\\") end++;
        else if (s[end] === "[") level++;
        else if (s[end] === "]" && --level === 0) break;
    }
    const m = s[end] === "]" && matchAt(/\(\s*(?:<([^<>\n]*)>|((?:[^\s()\\]|\\.|\([^\s()]*\))*))(?:\s+"([^"]*)")?\s*\)/y, s, end + 1);
    if (!m) return null;
    const label = s.slice(open + 1, end), url = safeUrl(decode(m[1] ?? m[2]).replace(/\\([!-/:-@[-`{-~])/g, "$1"), picture ? "media" : "link");
    const attrs = m[3] ? { title: m[3] } : {}, end2 = end + 1 + m[0].length;
    if (picture) return [url ? el("img", [], { ...attrs, src: url, alt: label }) : label, end2];
    return [el(url ? "a" : "span", inline(label, options, depth + 1), url ? { ...attrs, href: url } : {}), end2];
}

export function inline(s, options = {}, depth = 0) {
    const out = [], runs = [], tags = [];
    let text = "";
    const add = (...nodes) => {
        if (text) out.push(text);
        text = "";
        out.push(...nodes);
    };
    const wrap = (from, node) => {
        node.children = out.splice(from);
        out.push(node);
    };
    for (let i = 0; i < s.length;) {
        const ch = s[i];
        let m;
        if (ch === "\\" && i + 1 < s.length) {
            if (s[++i] === "\n") add(el("br"));
            else text += /[!-/:-@[-`{-~]/.test(s[i]) ? s[i] : `\\${s[i]}`;
            i++;
        } else if (ch === "`" && (m = matchAt(/(`+)(?!`)([^]*?[^`])\1(?!`)/y, s.slice(0, i + 5000), i))) {
            add(el("code", [m[2].replace(/\n/g, " ").replace(/^ (.*\S.*) $/, "$1")]));
            i += m[0].length;
        } else if ((ch === "[" || (ch === "!" && s[i + 1] === "[")) && depth < 4 && (m = link(s, i, depth, options))) {
            add(m[0]);
            i = m[1];
        } else if (ch === "*" || ch === "_" || (ch === "~" && s[i + 1] === "~")) {
            let n = 1;
            while (s[i + n] === ch) n++;
            const before = s[i - 1] ?? " ", after = s[i + n] ?? " ", word = /[\p{L}\p{N}]/u;
            const opens = !/\s/.test(after) && (ch !== "_" || !word.test(before)), shuts = !/\s/.test(before) && (ch !== "_" || !word.test(after));
            i += n;
            add();
            while (shuts && n > 0) {
                const k = runs.findLastIndex((r) => r.ch === ch), run = runs[k], use = ch === "~" ? 2 : Math.min(2, run?.n, n);
                if (!run || run.n < use || n < use) break;
                runs.length = k + 1;
                wrap(run.at + 1, el(ch === "~" ? "del" : use === 2 ? "strong" : "em"));
                n -= use;
                if ((run.n -= use)) out[run.at] = ch.repeat(run.n);
                else out.splice(runs.pop().at, 1);
            }
            if (n && opens && runs.length < 200) runs.push({ ch, n, at: out.length });
            if (n) out.push(ch.repeat(n));
        } else if (ch === "<" && (m = matchAt(/<((?:https?:\/\/|mailto:)[^\s<>]+)>/y, s, i) ?? matchAt(/<\/?[a-z]/iy, s, i))) {
            const tag = m[1] ? null : tagOf(s, i);
            i += tag ? tag.length : m[0].length;
            if (m[1]) add(el("a", [m[1].replace(/^mailto:/, "")], { href: m[1] }));
            else if (!tag) text += m[0];
            else if (!inlineTags.has(tag.tag)) {
                add(...parseHtml(s.slice(i - tag.length)));
                break;
            } else if (!tag.close) {
                const node = el(tag.tag, [], clean(tag.tag, tag.attrs));
                add();
                if (/^(br|img|wbr)$/.test(tag.tag)) out.push(node);
                else tags.push({ at: out.length, node, runs: runs.length });
            } else {
                add();
                const k = tags.findLastIndex((x) => x.node.tag === tag.tag);
                if (k < 0) continue;
                runs.length = Math.min(runs.length, tags[k].runs);
                wrap(Math.min(tags[k].at, out.length), tags[k].node);
                tags.length = k;
            }
        } else if (ch === "\n") {
            const hard = / {2,}$/.test(text) || options.breaks;
            text = text.replace(/ +$/, "");
            if (hard) add(el("br"));
            else text += "\n";
            i++;
        } else if (ch === "h" && depth === 0 && !/\w/.test(s[i - 1] ?? " ") && (m = matchAt(/https?:\/\/[^\s<>"'`]*[^\s<>"'`.,:;!?)\]*_]/y, s, i))) {
            add(el("a", [m[0]], { href: m[0] }));
            i += m[0].length;
        } else {
            const plain = matchAt(/[^\\`[!*_~<\nh]+/y, s, i)?.[0] ?? ch;
            text += decode(plain);
            i += plain.length;
        }
    }
    add();
    return out;
}

const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((c) => c.trim().replace(/\\\|/g, "|"));
const isRule = (l) => /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/.test(l);
const bullet = /^( {0,3})([-*+]|\d{1,9}[.)])( +|$)/;
const starts = (l) => isRule(l) || /^ {0,3}(#{1,6}( |$)|>|```|~~~)/.test(l) || bullet.test(l);
const blockTag = /^ {0,3}<\/?(article|aside|blockquote|center|details|div|dl|fieldset|figure|footer|form|h[1-6]|header|hr|iframe|main|nav|ol|p|pre|script|section|style|svg|table|textarea|ul|video|audio|!--)/i;
const indent = (l) => /^ */.exec(l)[0].length;

export function parseMarkdown(source, options = {}, depth = 0) {
    const lines = String(source).slice(0, 1000000).replace(/\r\n?/g, "\n").replace(/\t/g, "    ").split("\n"), out = [];
    const inner = (body) => (depth < 8 ? parseMarkdown(body.join("\n"), options, depth + 1) : [body.join("\n")]);
    let i = 0;
    const take = (go, change = (l) => l) => {
        const body = [];
        for (; i < lines.length && go(lines[i]); i++) body.push(change(lines[i]));
        return body;
    };
    while (i < lines.length) {
        const line = lines[i];
        let m;
        if (!line.trim()) i++;
        else if ((m = /^ {0,3}(```+|~~~+)/.exec(line))) {
            const shut = new RegExp(`^ {0,3}${m[1][0]}{${m[1].length},}\\s*$`);
            i++;
            out.push(el("pre", [el("code", [take((l) => !shut.test(l)).join("\n")])]));
            i++;
        } else if (/^ {4}/.test(line)) {
            out.push(el("pre", [el("code", [take((l) => /^ {4}/.test(l) || !l.trim(), (l) => l.slice(4)).join("\n").trimEnd()])]));
        } else if ((m = /^ {0,3}(#{1,6})(?: +(.*?))?(?: +#+)? *$/.exec(line))) {
            out.push(el(`h${m[1].length}`, inline(m[2] ?? "", options)));
            i++;
        } else if (isRule(line)) {
            out.push(el("hr"));
            i++;
        } else if (/^ {0,3}>/.test(line)) {
            out.push(el("blockquote", inner(take((l) => l.trim() && (/^ {0,3}>/.test(l) || !starts(l)), (l) => l.replace(/^ {0,3}> ?/, "")))));
        } else if ((m = bullet.exec(line))) {
            const ordered = /\d/.test(m[2]), mark = m[2].slice(-1), first = parseInt(m[2], 10), items = [];
            const ofList = (l) => {
                const b = bullet.exec(l ?? "");
                return b && !isRule(l) && b[2].slice(-1) === mark && /\d/.test(b[2]) === ordered ? b : null;
            };
            let loose = false;
            for (let b; (b = ofList(lines[i]));) {
                const pad = b[1].length + b[2].length + (b[3] ? Math.min(b[3].length, 4) : 1), body = [lines[i++].slice(pad)];
                for (; i < lines.length; i++) {
                    const l = lines[i];
                    if (indent(l) >= pad) body.push(l.slice(pad));
                    else if (!l.trim()) {
                        if (!(indent(lines[i + 1] ?? "") >= pad)) break;
                        loose = true;
                        body.push("");
                    } else if (starts(l)) break;
                    else body.push(l.trim());
                }
                if (lines[i]?.trim() === "" && ofList(lines[i + 1])) {
                    i++;
                    loose = true;
                }
                body[0] = body[0].replace(/^\[([ xX])\] +/, (all, x) => (x === " " ? "☐ " : "☑ "));
                items.push(body);
            }
            out.push(el(ordered ? "ol" : "ul", items.map((body) => el("li", loose ? inner(body) : inner(body).flatMap((n) => (n.tag === "p" ? n.children : [n])))), ordered && first !== 1 ? { start: String(first) } : {}));
        } else if (line.includes("|") && /^ {0,3}\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/.test(lines[i + 1] ?? "")) {
            const align = cells(lines[i + 1]).map((c) => (/^:-*:$/.test(c) ? "center" : /:$/.test(c) ? "right" : ""));
            const row = (l, tag) => el("tr", cells(l).slice(0, align.length).map((c, k) => el(tag, inline(c, options), align[k] ? { align: align[k] } : {})));
            i += 2;
            out.push(el("table", [el("thead", [row(line, "th")]), el("tbody", take((l) => l.includes("|"), (l) => row(l, "td")))]));
        } else if (blockTag.test(line)) out.push(...parseHtml(take((l) => l.trim()).join("\n")));
        else {
            const body = [line.trimStart()];
            i++;
            body.push(...take((l) => l.trim() && !/^ {0,3}(=+|-+) *$/.test(l) && !starts(l) && !blockTag.test(l), (l) => l.trimStart()));
            const under = /^ {0,3}([=-])\1* *$/.exec(lines[i] ?? "");
            if (under) i++;
            out.push(el(under ? (under[1] === "=" ? "h1" : "h2") : "p", inline(body.join("\n").trimEnd(), options)));
        }
    }
    return out;
}
