/* The File component: names and sizes to download; to drop and remove where it is for input. */
import { define } from "./component.js";
import { h, icon, iconButton } from "./dom.js";
import { fileLink } from "./media.js";
import { t } from "./texts.js";
import { dropArea } from "./upload.js";

define("file", (c) => {
    const p = c.props, many = p.file_count === "multiple" || p.file_count === "directory", body = h("div", { class: "files" });
    const list = () => (c.value ? [c.value].flat().filter((f) => f && typeof f === "object") : []);
    const give = (files, ...events) => {
        c.input(!files.length ? null : many ? files : files[0], ...events);
        show();
    };
    const row = (file, index) => {
        const link = fileLink(c, file), data = { index, value: file.orig_name, selected: true };
        link.addEventListener("click", () => {
            c.trigger("select", data);
            c.trigger("download", file);
        });
        return h("li", {}, link, c.interactive ? iconButton("close", t("remove", file.orig_name ?? ""), () => {
            const rest = list().filter((_, i) => i !== index);
            give(rest, "delete", ...(rest.length ? [] : ["clear"]));
        }) : null);
    };
    const show = () => {
        const files = list(), parts = [];
        if (files.length) parts.push(h("ul", { class: "file-list" }, files.map(row)));
        if (c.interactive && (!files.length || many)) {
            parts.push(dropArea(c, { types: p.file_types ?? [], multiple: many, directory: p.file_count === "directory", done: (got) => give([...list(), ...got], "upload") }));
        } else if (!files.length) parts.push(h("div", { class: "empty" }, icon("file"), h("span", {}, t("empty"))));
        body.replaceChildren(...parts);
    };
    show();
    return { body, group: true, value: show, sizes: ["height"], sized: body };
});
