/* Image, Video, Gallery, and whatever a message shows of a file. */
import { define } from "./component.js";
import { bytes, h, icon, iconButton, safeUrl } from "./dom.js";
import { t } from "./texts.js";
import { dropArea } from "./upload.js";
import { FilePlayer } from "./player.js";
import { transport } from "./audio.js";

const urlOf = (c, file) => safeUrl(c.page.client.local(typeof file === "string" ? file : file?.url ?? ""), "media");

export function kindOf(file) {
    const type = file.mime_type ?? "", name = String(file.orig_name ?? file.path ?? file.url ?? "").toLowerCase();
    for (const [kind, ends] of [["image", /\.(png|jpe?g|gif|webp|bmp|avif)$/], ["audio", /\.(mp3|wav|ogg|opus|m4a|flac|aac)$/], ["video", /\.(mp4|webm|mov|mkv|ogv)$/]]) {
        if (type.startsWith(`${kind}/`) || ends.test(name)) return kind;
    }
    return "file";
}

export function fileLink(c, file) {
    const url = urlOf(c, file), name = file.orig_name ?? String(file.path ?? "").split("/").pop();
    return h("a", { class: "file-link", href: url, download: name }, icon("file"), h("span", { class: "file-name" }, h("bdi", {}, name)), h("span", { class: "file-size" }, bytes(file.size)));
}

export function mediaOf(c, file, alt) {
    const url = urlOf(c, file);
    if (!url) return h("span", { class: "note" }, file.orig_name ?? "");
    switch (kindOf(file)) {
    case "image": return h("img", { src: url, alt: alt ?? file.orig_name ?? "", class: "chat-image" });
    case "audio": return transport(new FilePlayer(url), { label: file.orig_name });
    case "video": return h("video", { src: url, controls: true, preload: "metadata" });
    default: return fileLink(c, file);
    }
}

/* A picture alone over the page; arrows go through the others. */
export function lightbox(c, items, index, onmove) {
    const picture = h("div", { class: "lightbox-picture" }), caption = h("div");
    const go = (by) => {
        index = (index + by + items.length) % items.length;
        draw();
        onmove?.(index);
    };
    const draw = () => {
        const { url, alt, video } = items[index];
        picture.replaceChildren(video ? h("video", { src: url, controls: true }) : h("img", { src: url, alt }));
        caption.textContent = [alt, items.length > 1 ? t("page", index + 1, items.length) : ""].filter(Boolean).join(" — ");
    };
    const box = h("dialog", { class: "lightbox", "aria-label": t("image") }, picture, caption, iconButton("close", t("close"), () => box.close()),
        items.length > 1 && iconButton("left", t("previous"), () => go(-1), "previous flip"), items.length > 1 && iconButton("right", t("next"), () => go(1), "next flip"));
    box.addEventListener("keydown", (e) => {
        const back = document.documentElement.dir === "rtl" ? "ArrowRight" : "ArrowLeft";
        if (e.key === "ArrowLeft" || e.key === "ArrowRight") go(e.key === back ? -1 : 1);
    });
    box.addEventListener("click", (e) => e.target === box && box.close());
    box.addEventListener("close", () => {
        box.remove();
        c.trigger("preview_close");
    });
    document.body.append(box);
    draw();
    box.showModal();
    c.trigger("preview_open");
}

function download(c, file) {
    return iconButton("download", t("download"), () => h("a", { href: urlOf(c, file), download: file.orig_name ?? "" }).click());
}

define("image", (c) => {
    const p = c.props, body = h("div", { class: "image" }), buttons = p.buttons ?? ["download", "fullscreen"];
    const give = (file, ...events) => {
        c.input(file, ...events);
        show(file);
    };
    const show = (file) => {
        const url = file && urlOf(c, file), alt = p.placeholder ?? p.label ?? "";
        if (url) {
            const img = h("img", { src: url, alt });
            img.addEventListener("click", (e) => {
                const box = img.getBoundingClientRect();
                if (c.has("select")) c.trigger("select", { index: [Math.round((e.clientX - box.x) / box.width * img.naturalWidth), Math.round((e.clientY - box.y) / box.height * img.naturalHeight)], value: null });
            });
            const tools = h("div", { class: "over-tools" }, buttons.includes("fullscreen") && iconButton("expand", t("fullscreen"), () => lightbox(c, [{ url, alt }], 0)),
                buttons.includes("download") && download(c, file), c.interactive && iconButton("close", t("clear"), () => give(null, "clear", "input")));
            return body.replaceChildren(img, tools);
        }
        if (!c.interactive) return body.replaceChildren(h("div", { class: "empty" }, icon("image"), h("span", {}, t("empty"))));
        body.replaceChildren(dropArea(c, { types: ["image"], name: "image", done: ([f]) => give(f, "upload", "input") }));
    };
    show(c.value);
    return { body, group: true, value: show, sizes: ["height", "width"], sized: body };
});

define("video", (c) => {
    const body = h("div", { class: "video" });
    const give = (file, ...events) => {
        c.input(file, ...events);
        show(file);
    };
    const show = (v) => {
        const file = v?.video ?? v, url = file && urlOf(c, file);
        if (!url) {
            return body.replaceChildren(c.interactive ? dropArea(c, { types: ["video"], name: "video", done: ([f]) => give(f, "upload", "input") })
                : h("div", { class: "empty" }, icon("video"), h("span", {}, t("empty"))));
        }
        const video = h("video", { src: url, controls: true, preload: "metadata", playsinline: true, "aria-label": c.props.label });
        video.loop = c.props.loop === true;
        video.autoplay = c.props.autoplay === true;
        for (const [dom, event] of [["play", "play"], ["pause", "pause"], ["ended", "end"]]) video.addEventListener(dom, () => c.trigger(event));
        const subtitles = v.subtitles && urlOf(c, v.subtitles);
        if (subtitles) video.append(h("track", { kind: "captions", src: subtitles, default: true }));
        body.replaceChildren(video, c.interactive ? h("div", { class: "over-tools" }, iconButton("close", t("clear"), () => give(null, "clear", "input"))) : "");
    };
    show(c.value);
    return { body, group: true, value: show, sizes: ["height", "width"], sized: body };
});

define("gallery", (c) => {
    const p = c.props, grid = h("div", { class: "gallery" }), body = h("div", {}, grid);
    const columns = typeof p.columns === "number" ? p.columns : Array.isArray(p.columns) ? Math.max(...p.columns.filter(Number)) : 2;
    grid.style.setProperty("--columns", String(columns));
    const show = (v) => {
        const list = (v ?? []).map((x) => ({ file: x.image ?? x.video ?? x, video: !!x.video, alt: x.caption ?? "" })).map((x) => ({ ...x, url: urlOf(c, x.file) })).filter((x) => x.url);
        const remove = (i) => {
            c.trigger("delete", { index: i });
            const rest = (c.value ?? []).filter((_, k) => k !== i);
            c.input(rest.length ? rest : null);
            show(c.value);
        };
        grid.replaceChildren(...list.map((item, index) => h("figure", {},
            h("button", { type: "button", class: "thumb", "aria-label": item.alt || `${t("image")} ${index + 1}`, onclick: () => {
                c.props.selected_index = index;
                c.trigger("select", { index, value: (c.value ?? [])[index], selected: true });
                if (p.allow_preview !== false) lightbox(c, list, index);
            } }, item.video ? h("video", { src: item.url, preload: "metadata", muted: true }) : h("img", { src: item.url, alt: item.alt, loading: "lazy" })),
            item.alt ? h("figcaption", {}, item.alt) : null, c.interactive ? iconButton("close", t("remove", item.alt || index + 1), () => remove(index), "thumb-remove") : null)));
        grid.hidden = !list.length;
        empty.hidden = !!list.length;
    };
    const empty = c.interactive ? dropArea(c, { types: p.file_types ?? ["image", "video"], multiple: true, name: "image", done: (files) => {
        const value = [...(c.value ?? []), ...files.map((f) => (kindOf(f) === "video" ? { video: f, caption: null } : { image: f, caption: null }))];
        c.input(value, "upload", "input");
        show(value);
    } }) : h("div", { class: "empty" }, icon("image"), h("span", {}, t("empty")));
    body.append(empty);
    show(c.value);
    return { body, group: true, value: show, sizes: ["height"], sized: body };
});
