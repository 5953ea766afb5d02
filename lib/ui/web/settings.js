/* Appearance and language. */
import { h, iconButton } from "./dom.js";
import { t, texts } from "./texts.js";

export function dialog(title, ...parts) {
    const box = h("dialog", { class: "dialog", "aria-label": title }, h("div", { class: "dialog-head" }, h("h2", {}, title), iconButton("close", t("close"), () => box.close())),
        h("div", { class: "dialog-body" }, parts));
    box.addEventListener("click", (e) => e.target === box && box.close());
    box.addEventListener("close", () => box.remove());
    document.body.append(box);
    box.showModal();
    return box;
}

function choose(label, id, options, now, done) {
    const field = h("select", { id, class: "field" }, options.map(([value, text]) => h("option", { value, selected: value === now }, text)));
    field.addEventListener("change", () => done(field.value));
    return h("div", { class: "setting" }, h("label", { class: "label", for: id }, label), field);
}

export function open() {
    const { m8Theme: theme } = window;
    dialog(t("settings"),
        choose(t("theme"), "set-theme", [["", t("themeAuto")], ["light", t("themeLight")], ["dark", t("themeDark")]], theme.chosen ?? "", (v) => theme.choose(v)),
        choose(t("language"), "set-language", [["", t("languageAuto")], ...Object.entries(texts.names)], texts.chosen ?? "", (v) => {
            texts.choose(v);
            location.reload();
        }));
}
