/* "Use via API": the endpoints, what they take and give, and how they are called. The snippets come with the API info. */
import { h } from "./dom.js";
import { copyButton } from "./form.js";
import { dialog } from "./settings.js";
import { t } from "./texts.js";

const names = { python: "Python", javascript: "JavaScript", bash: "curl" };

function list(rows, given) {
    if (!rows?.length) return h("p", { class: "note" }, t("nothing"));
    return h("ul", {}, rows.map((x) => h("li", {}, given && h("code", {}, x.parameter_name), " ", h("span", { class: "api-type" }, x.python_type?.type || x.type?.type || "any"),
        ` ${x.label ?? ""} · ${x.component}`, given && h("span", { class: "note" }, ` · ${x.parameter_has_default ? t("default", JSON.stringify(x.parameter_default)) : t("required")}`))));
}

function endpoint([name, e], first) {
    const code = h("code", { dir: "ltr" }), tabs = h("div", { class: "tab-list", role: "tablist" });
    const select = (lang) => {
        code.textContent = e.code_snippets[lang];
        for (const b of tabs.children) b.setAttribute("aria-selected", String(b.textContent === names[lang]));
    };
    const langs = Object.keys(names).filter((lang) => e.code_snippets?.[lang]);
    tabs.append(...langs.map((lang) => h("button", { type: "button", class: "tab", role: "tab", onclick: () => select(lang) }, names[lang])));
    if (langs.length) select(langs[0]);
    return h("details", { class: "accordion endpoint", open: first === 0 }, h("summary", {}, h("code", { dir: "ltr" }, name)), h("div", { class: "accordion-body column" },
        e.description && h("p", {}, e.description), h("h3", {}, t("parameters")), list(e.parameters, true), h("h3", {}, t("returns")), list(e.returns),
        langs.length && [h("div", { class: "head" }, tabs, copyButton(() => code.textContent)), h("pre", { class: "code", tabindex: "0" }, code)]));
}

export function open(app) {
    const ends = Object.entries(app.info.named_endpoints ?? {});
    dialog(t("api"), h("p", {}, ends.length ? t("apiIntro", ends.length) : t("apiNone")), h("pre", { class: "code" }, h("code", { dir: "ltr" }, app.config.root)), ends.map(endpoint)).classList.add("api");
}
