/* Buttons: plain, for downloading, for uploading. A ClearButton is a plain one: what it clears is a function of the page. */
import { define } from "./component.js";
import { h, icon, safeUrl } from "./dom.js";
import { t } from "./texts.js";
import { accept, takeFiles } from "./upload.js";

function make(c, text, onclick) {
    const p = c.props, url = p.link ? safeUrl(p.link) : null;
    const b = h(url ? "a" : "button", { class: `button ${p.variant ?? "secondary"} ${p.size ?? "lg"}`, type: url ? undefined : "button",
        href: url, target: url ? p.link_target ?? "_self" : undefined, rel: url ? "noopener noreferrer" : undefined, onclick });
    const src = p.icon && safeUrl(c.page.client.local(p.icon.url ?? p.icon), "media");
    if (src) b.append(h("img", { src, alt: "", class: "button-icon" }));
    b.append(h("span", {}, text));
    if (!url) b.disabled = p.interactive === false;
    return b;
}

define("button", (c) => {
    const b = make(c, String(c.value ?? ""), () => c.trigger("click"));
    return { body: b, frame: false, value: (v) => { b.lastChild.textContent = String(v ?? ""); }, focus: () => b.focus() };
});

define("downloadbutton", (c) => {
    const b = make(c, String(c.props.label ?? t("download")), () => {
        c.trigger("click");
        const url = c.value && safeUrl(c.page.client.local(c.value.url ?? c.value), "media");
        if (url) h("a", { href: url, download: c.value.orig_name ?? "" }).click();
    });
    b.prepend(icon("download"));
    return { body: b, frame: false, value() {} };
});

define("uploadbutton", (c) => {
    const p = c.props, multiple = p.file_count === "multiple" || p.file_count === "directory";
    const field = h("input", { type: "file", class: "offscreen", multiple, accept: (p.file_types ?? []).map(accept).join(","), tabindex: "-1", "aria-hidden": "true" });
    field.webkitdirectory = p.file_count === "directory";
    const b = make(c, String(p.label ?? ""), () => {
        c.trigger("click");
        field.click();
    });
    b.prepend(icon("upload"));
    field.addEventListener("change", async () => {
        const files = await takeFiles(c, [...field.files], p.file_types);
        field.value = "";
        if (files) c.input(multiple ? files : files[0], "upload");
    });
    return { body: h("div", {}, b, field), frame: false, value() {} };
});
