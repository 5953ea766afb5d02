/* Taking files from the visitor: a place to drop, click, or paste; checks of kind and size; the upload with its progress. */
import { bytes, h, icon } from "./dom.js";
import { t } from "./texts.js";
import { toast } from "./toast.js";

export function accept(type) {
    return ["image", "audio", "video", "text"].includes(type) ? `${type}/*` : type === "file" ? "" : type;
}

function fits(file, types) {
    if (!types?.length) return true;
    return types.some((type) => {
        const want = accept(type);
        if (want === "") return true;
        if (want.startsWith(".")) return file.name.toLowerCase().endsWith(want.toLowerCase());
        if (want.endsWith("/*")) return file.type.startsWith(want.slice(0, -1));
        return want.includes("/") ? file.type === want : file.name.toLowerCase().endsWith(`.${want.toLowerCase()}`);
    });
}

/* Uploads them; null if there were none or it failed, and then a toast has said why. onprogress: see Client.upload. */
export async function takeFiles(c, files, types, onprogress) {
    const limit = c.page.config.max_file_size;
    for (const f of files) {
        const why = !fits(f, types) ? t("noType", f.name) : limit && f.size > limit ? t("tooBig", f.name, bytes(limit)) : null;
        if (!why) continue;
        toast({ message: why, level: "error" });
        return null;
    }
    if (!files.length) return null;
    try {
        return await c.page.client.upload(files, { onprogress });
    } catch (e) {
        c.page.tell(e);
        return null;
    }
}

/* done(files) gets FileData. `text` replaces the words inside. */
export function dropArea(c, { types = [], multiple = false, directory = false, name = "upload", text, done }) {
    const field = h("input", { type: "file", class: "offscreen", multiple, accept: types.map(accept).join(","), id: c.uid, tabindex: "-1", "aria-hidden": "true" });
    field.webkitdirectory = directory;
    const words = h("span", {}, text ?? t(multiple ? "uploadMany" : "upload"));
    const fill = h("div", { class: "bar-fill" });
    const bar = h("div", { class: "bar", role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100", "aria-label": t("uploading", "") }, fill);
    bar.hidden = true;
    const area = h("button", { type: "button", class: "drop", onclick: () => field.click() }, icon(name), words, bar);
    const take = async (list) => {
        const files = multiple ? list : list.slice(0, 1);
        if (!files.length || area.disabled) return;
        area.disabled = true;
        bar.hidden = false;
        words.textContent = t("uploading", files.length === 1 ? files[0].name : "");
        const got = await takeFiles(c, files, types, (now, all) => {
            fill.style.width = `${now / all * 100}%`;
            bar.setAttribute("aria-valuenow", String(Math.round(now / all * 100)));
        });
        area.disabled = false;
        bar.hidden = true;
        fill.style.width = "0";
        words.textContent = text ?? t(multiple ? "uploadMany" : "upload");
        if (got) done(got);
    };
    field.addEventListener("change", () => {
        const files = [...field.files];
        field.value = "";
        take(files);
    });
    area.addEventListener("dragover", (e) => {
        e.preventDefault();
        area.classList.add("over");
    });
    area.addEventListener("dragleave", () => area.classList.remove("over"));
    area.addEventListener("drop", (e) => {
        e.preventDefault();
        area.classList.remove("over");
        take([...e.dataTransfer.files]);
    });
    area.addEventListener("paste", (e) => {
        const files = [...(e.clipboardData?.files ?? [])];
        if (files.length) {
            e.preventDefault();
            take(files);
        }
    });
    return h("div", { class: "drop-area" }, area, field);
}
