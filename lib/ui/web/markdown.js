/* Markdown to the tree of sanitise.js: headings, paragraphs, lists, tasks, quotes, code, tables, rules, links, pictures, emphasis, and
 * HTML within it, cleaned. Every step moves forward, so long and odd texts take time in proportion. */
import { safeUrl } from "./dom.js";
import { clean, decode, parseHtml, tagOf } from "./sanitise.js";

const el = (tag, children = [], attrs = {}) => ({ tag, attrs, children });
const inlineTags = new Set("a abbr b br cite code del em i img ins kbd mark q s small span strong sub sup u var wbr".split(" "));
const escapable = /[!-/:-@[-`{-~]/;

function link(s, at, depth, options) {
    const picture = s[at] === "!", open = picture ? at + 1 : at;
    let end = open + 1;
    for (let level = 1; end < s.length && end - open < 2000; end++) {
        if (s[end] === "\\") end++;
        else if (s[end] === "[") level++;
        else if (s[end] === "]" && --level === 0) break;
    }
    if (s[end] !== "]" || s[end + 1] !== "(") return null;
    const m = /\(\s*(?:<([^<>\n]*)>|((?:[^\s()\\]|\\.|\([^\s()]*\))*))(?:\s+(?:"([^"]*)"|'([^']*)'))?\s*\)/y;
    m.lastIndex = end + 1;
    const found = m.exec(s);
    if (!found) return null;
    const label = s.slice(open + 1, end), url = safeUrl(decode(found[1] ?? found[2]).replace(/\\([!-/:-@[-`{-~])/g, "$1"), picture ? "media" : "link");
    const attrs = found[3] ?? found[4] ? { title: found[3] ?? found[4] } : {};
    const node = picture ? (url ? el("img", [], { ...attrs, src: url, alt: label }) : label)
        : url ? el("a", inline(label, options, depth + 1), { ...attrs, href: url }) : el("span", inline(label, options, depth + 1));
    return { node, end: m.lastIndex };
}

export function inline(s, options = {}, depth = 0) {
    const out = [], runs = [], tags = [];
    let text = "";
    const flush = () => {
        if (text) out.push(text);
        text = "";
    };
    const wrap = (from, node) => {
        node.children = out.splice(from);
        out.push(node);
    };
    for (let i = 0; i < s.length;) {
        const ch = s[i];
        if (ch === "\\" && i + 1 < s.length) {
            if (s[i + 1] === "\n") {
                flush();
                out.push(el("br"));
            } else text += escapable.test(s[i + 1]) ? s[i + 1] : s.slice(i, i + 2);
            i += 2;
        } else if (ch === "`") {
            const ticks = /`+/y;
            ticks.lastIndex = i;
            const n = ticks.exec(s)[0];
            let end = s.indexOf(n, i + n.length);
            while (end >= 0 && s[end + n.length] === "`") {
                while (s[end] === "`") end++;
                end = s.indexOf(n, end);
            }
            if (end < 0) {
                text += n;
                i += n.length;
                continue;
            }
            flush();
            out.push(el("code", [s.slice(i + n.length, end).replace(/\n/g, " ").replace(/^ (.*\S.*) $/, "$1")]));
            i = end + n.length;
        } else if ((ch === "[" || (ch === "!" && s[i + 1] === "[")) && depth < 4) {
            const found = link(s, i, depth, options);
            if (found) {
                flush();
                out.push(found.node);
                i = found.end;
            } else {
                text += ch;
                i++;
            }
        } else if (ch === "*" || ch === "_" || (ch === "~" && s[i + 1] === "~")) {
            let n = 1;
            while (s[i + n] === ch) n++;
            const before = s[i - 1] ?? " ", after = s[i + n] ?? " ", word = /[\p{L}\p{N}]/u;
            const opens = !/\s/.test(after) && (ch !== "_" || !word.test(before)), shuts = !/\s/.test(before) && (ch !== "_" || !word.test(after));
            i += n;
            flush();
            while (shuts && n > 0) {
                let k = runs.length - 1;
                while (k >= 0 && runs[k].ch !== ch) k--;
                if (k < 0) break;
                const run = runs[k], use = ch === "~" ? 2 : Math.min(2, run.n, n);
                if (run.n < use || n < use) break;
                runs.length = k + 1;
                wrap(run.at + (run.n > use ? 1 : 0), el(ch === "~" ? "del" : use === 2 ? "strong" : "em"));
                run.n -= use;
                n -= use;
                if (run.n > 0) out[run.at] = ch.repeat(run.n);
                else {
                    runs.pop();
                    if (out[run.at] !== out[out.length - 1]) out.splice(run.at, 1);
                }
            }
            if (n > 0) {
                if (opens) {
                    runs.push({ ch, n, at: out.length });
                    if (runs.length > 200) runs.shift();
                }
                out.push(ch.repeat(n));
            }
        } else if (ch === "<") {
            const auto = /<((?:https?:\/\/|mailto:)[^\s<>]+)>/y;
            auto.lastIndex = i;
            const m = auto.exec(s), tag = m ? null : tagOf(s, i);
            flush();
            if (m) {
                out.push(el("a", [m[1].replace(/^mailto:/, "")], { href: m[1] }));
                i += m[0].length;
            } else if (tag && inlineTags.has(tag.tag)) {
                i += tag.length;
                if (!tag.close) {
                    const node = el(tag.tag, [], clean(tag.tag, tag.attrs));
                    if (["br", "img", "wbr"].includes(tag.tag)) out.push(node);
                    else tags.push({ at: out.length, node, runs: runs.length });
                } else {
                    const k = tags.findLastIndex((x) => x.node.tag === tag.tag);
                    if (k >= 0) {
                        runs.length = Math.min(runs.length, tags[k].runs);
                        wrap(Math.min(tags[k].at, out.length), tags[k].node);
                        tags.length = k;
                    }
                }
            } else if (tag) {
                out.push(...parseHtml(s.slice(i)));
                i = s.length;
            } else {
                text += ch;
                i++;
            }
        } else if (ch === "\n") {
            const hard = /( {2,})$/.test(text) || options.breaks;
            text = text.replace(/ +$/, "");
            if (hard) {
                flush();
                out.push(el("br"));
            } else text += "\n";
            i++;
        } else if (ch === "h" && /^https?:\/\/[^\s<>]/.test(s.slice(i, i + 10)) && !/\w/.test(s[i - 1] ?? " ")) {
            const m = /https?:\/\/[^\s<>"'`]*[^\s<>"'`.,:;!?)\]*_]/y;
            m.lastIndex = i;
            const url = m.exec(s)?.[0];
            if (url && depth === 0) {
                flush();
                out.push(el("a", [url], { href: url }));
                i = m.lastIndex;
            } else {
                text += ch;
                i++;
            }
        } else {
            const plain = /[^\\`[!*_~<\nh]+/y;
            plain.lastIndex = i;
            const m = plain.exec(s)?.[0] ?? ch;
            text += decode(m);
            i += m.length;
        }
    }
    flush();
    return out;
}

const cells = (line) => line.trim().replace(/^\|/, "").replace(/\|$/, "").split(/(?<!\\)\|/).map((c) => c.trim().replace(/\\\|/g, "|"));
const isRule = (l) => /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/.test(l);
const bullet = /^( {0,3})([-*+]|\d{1,9}[.)])( +|$)/;
const starts = (l) => isRule(l) || /^ {0,3}(#{1,6}( |$)|>|```|~~~)/.test(l) || bullet.test(l);
const blockTag = /^ {0,3}<\/?(address|article|aside|blockquote|center|details|dialog|div|dl|fieldset|figure|footer|form|h[1-6]|header|hr|iframe|li|main|nav|object|ol|p|pre|script|section|style|svg|table|tbody|td|textarea|th|thead|tr|ul|video|audio|summary|!--)/i;

export function parseMarkdown(source, options = {}, depth = 0) {
    const lines = String(source).slice(0, 1000000).replace(/\r\n?/g, "\n").replace(/\t/g, "    ").split("\n"), out = [];
    let i = 0;
    while (i < lines.length) {
        const line = lines[i];
        let m;
        if (!line.trim()) i++;
        else if ((m = /^ {0,3}(```+|~~~+)\s*([^`\s]*)/.exec(line))) {
            const body = [], shut = new RegExp(`^ {0,3}${m[1][0]}{${m[1].length},}\\s*$`);
            for (i++; i < lines.length && !shut.test(lines[i]); i++) body.push(lines[i]);
            i++;
            out.push(el("pre", [el("code", [body.join("\n")])]));
        } else if (/^ {4}/.test(line)) {
            const body = [];
            for (; i < lines.length && (/^ {4}/.test(lines[i]) || !lines[i].trim()); i++) body.push(lines[i].slice(4));
            out.push(el("pre", [el("code", [body.join("\n").trimEnd()])]));
        } else if ((m = /^ {0,3}(#{1,6})(?: +(.*?))?(?: +#+)? *$/.exec(line))) {
            out.push(el(`h${m[1].length}`, inline(m[2] ?? "", options)));
            i++;
        } else if (isRule(line)) {
            out.push(el("hr"));
            i++;
        } else if (/^ {0,3}>/.test(line)) {
            const body = [];
            for (; i < lines.length && lines[i].trim() && (/^ {0,3}>/.test(lines[i]) || !starts(lines[i])); i++) body.push(lines[i].replace(/^ {0,3}> ?/, ""));
            out.push(el("blockquote", depth < 8 ? parseMarkdown(body.join("\n"), options, depth + 1) : [body.join("\n")]));
        } else if ((m = bullet.exec(line))) {
            const ordered = /\d/.test(m[2]), mark = ordered ? m[2].slice(-1) : m[2], items = [];
            let loose = false;
            const ofList = (l) => {
                const b = bullet.exec(l);
                return b && !isRule(l) && (ordered ? /\d/.test(b[2]) && b[2].slice(-1) === mark : b[2] === mark) ? b : null;
            };
            for (let b; i < lines.length && (b = ofList(lines[i]));) {
                const pad = Math.min(b[0].length, b[1].length + b[2].length + 1), body = [lines[i].slice(pad > b[0].length ? b[0].length : pad)];
                for (i++; i < lines.length; i++) {
                    const l = lines[i];
                    if (!l.trim()) {
                        const next = lines.slice(i + 1, i + 3).find((x) => x.trim());
                        if (next === undefined || !(/^ */.exec(next)[0].length >= pad)) break;
                        loose ||= depth < 8;
                        body.push("");
                    } else if (/^ */.exec(l)[0].length >= pad) body.push(l.slice(pad));
                    else if (starts(l)) break;
                    else body.push(l.trim());
                }
                while (i < lines.length && !lines[i].trim() && lines[i + 1] !== undefined && ofList(lines[i + 1])) {
                    i++;
                    loose = true;
                }
                items.push(body);
            }
            out.push(el(ordered ? "ol" : "ul", items.map((body) => {
                const task = /^\[([ xX])\] +/.exec(body[0]);
                if (task) body[0] = (task[1] === " " ? "☐ " : "☑ ") + body[0].slice(task[0].length);
                let inner = depth < 8 ? parseMarkdown(body.join("\n"), options, depth + 1) : [body.join("\n")];
                if (!loose) inner = inner.flatMap((n) => (n.tag === "p" ? n.children : [n]));
                return el("li", inner);
            }), ordered && parseInt(m[2], 10) !== 1 ? { start: String(parseInt(m[2], 10)) } : {}));
        } else if (line.includes("|") && /^ {0,3}\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/.test(lines[i + 1] ?? "") && lines[i + 1].includes("-")) {
            const align = cells(lines[i + 1]).map((c) => (/^:-*:$/.test(c) ? "center" : /:$/.test(c) ? "right" : ""));
            const row = (l, tag) => el("tr", cells(l).slice(0, align.length).map((c, k) => el(tag, inline(c, options), align[k] ? { align: align[k] } : {})));
            const head = row(line, "th"), body = [];
            for (i += 2; i < lines.length && lines[i].trim() && lines[i].includes("|"); i++) body.push(row(lines[i], "td"));
            out.push(el("table", [el("thead", [head]), el("tbody", body)]));
        } else if (blockTag.test(line)) {
            const body = [];
            for (; i < lines.length && lines[i].trim(); i++) body.push(lines[i]);
            out.push(...parseHtml(body.join("\n")));
        } else {
            const body = [line.trimStart()];
            let level = 0;
            for (i++; i < lines.length && lines[i].trim(); i++) {
                if (/^ {0,3}=+ *$/.test(lines[i])) level = 1;
                else if (/^ {0,3}-+ *$/.test(lines[i])) level = 2;
                if (level) {
                    i++;
                    break;
                }
                if (starts(lines[i]) || blockTag.test(lines[i])) break;
                body.push(lines[i].trimStart());
            }
            out.push(el(level ? `h${level}` : "p", inline(body.join("\n").trimEnd(), options)));
        }
    }
    return out;
}
