/* "Use via API": the endpoints, what they take and give, and how to call them from three languages. */
import { h } from "./dom.js";
import { copyButton } from "./form.js";
import { dialog } from "./settings.js";
import { t } from "./texts.js";

const isFile = (p) => /^(filepath|list\[filepath\])/.test(p.python_type?.type ?? "") || p.type?.title === "FileData";

function python(v) {
    if (v === null || v === undefined) return "None";
    if (typeof v === "boolean") return v ? "True" : "False";
    if (Array.isArray(v)) return `[${v.map(python).join(", ")}]`;
    if (typeof v === "object") return `{${Object.entries(v).map(([k, x]) => `${JSON.stringify(k)}: ${python(x)}`).join(", ")}}`;
    return JSON.stringify(v);
}

const example = (p) => (p.parameter_has_default ? p.parameter_default : p.example_input ?? null);
const fileName = (p) => p.example_input?.path?.split("/").pop() || "file";

export function snippets(name, e, root, api) {
    const params = e.parameters ?? [], file = (p) => isFile(p), uploads = params.some(file);
    const py = params.map((p) => `    ${p.parameter_name ?? "arg"}=${file(p) ? `handle_file("${fileName(p)}")` : python(example(p))},\n`).join("");
    const js = params.map((p) => `    ${p.parameter_name ?? "arg"}: ${file(p) ? `handle_file("${fileName(p)}")` : JSON.stringify(example(p))},\n`).join("");
    const body = JSON.stringify(Object.fromEntries(params.map((p) => [p.parameter_name, file(p) ? { path: "UPLOADED", meta: { _type: "gradio.FileData" } } : example(p)])));
    return {
        Python: `from gradio_client import Client${uploads ? ", handle_file" : ""}\n\nclient = Client("${root}")\nresult = client.predict(\n${py}    api_name="${name}",\n)\nprint(result)`,
        JavaScript: `import { Client${uploads ? ", handle_file" : ""} } from "@gradio/client";\n\nconst client = await Client.connect("${root}");\nconst result = await client.predict("${name}", {\n${js}});\nconsole.log(result.data);`,
        curl: `${uploads ? `# ${t("apiFilesHint")}\ncurl -s -F files=@FILE ${root}${api}/upload\n` : ""}EVENT=$(curl -s -X POST ${root}${api}/call/v2${name} \\\n  -H "Content-Type: application/json" -d '${body.replace(/'/g, "'\\''")}' | cut -d'"' -f4)\ncurl -N ${root}${api}/call${name}/$EVENT`,
    };
}

function typeOf(x) {
    return x.python_type?.type || x.type?.type || "any";
}

function endpoint(name, e, root, api) {
    const code = h("code", { dir: "ltr" }), all = snippets(name, e, root, api), tabs = h("div", { class: "tab-list", role: "tablist" });
    const select = (lang) => {
        code.textContent = all[lang];
        for (const b of tabs.children) b.setAttribute("aria-selected", String(b.textContent === lang));
    };
    tabs.append(...Object.keys(all).map((lang) => h("button", { type: "button", class: "tab", role: "tab", onclick: () => select(lang) }, lang)));
    select("Python");
    const row = (x, given) => h("li", {}, given ? h("code", {}, x.parameter_name) : null, given ? " " : null, h("span", { class: "api-type" }, typeOf(x)), ` ${x.label ?? ""} · ${x.component}`,
        given ? h("span", { class: "note" }, ` · ${x.parameter_has_default ? t("default", JSON.stringify(x.parameter_default)) : t("required")}`) : null);
    const list = (rows, given) => (rows?.length ? h("ul", {}, rows.map((x) => row(x, given))) : h("p", { class: "note" }, t("nothing")));
    return h("details", { class: "accordion endpoint" }, h("summary", {}, h("code", { dir: "ltr" }, name)), h("div", { class: "accordion-body column" },
        e.description ? h("p", {}, e.description) : null, h("h3", {}, t("parameters")), list(e.parameters, true), h("h3", {}, t("returns")), list(e.returns, false),
        h("div", { class: "head" }, tabs, copyButton(() => code.textContent)), h("pre", { class: "code", tabindex: "0" }, code)));
}

export function open(app) {
    const ends = Object.entries(app.info.named_endpoints ?? {}), root = app.config.root || new URL(".", document.baseURI).href.replace(/\/$/, "");
    const list = ends.map(([name, e]) => endpoint(name, e, root, app.config.api_prefix ?? ""));
    if (list.length) list[0].open = true;
    dialog(t("api"), h("p", {}, ends.length ? t("apiIntro", ends.length) : t("apiNone")), h("pre", { class: "code" }, h("code", { dir: "ltr" }, root)), list).classList.add("api");
}
