/* The page of somebody who is not logged in. */
import { h } from "./dom.js";
import { t } from "./texts.js";

export function show(app) {
    const user = h("input", { class: "field", id: "user", name: "username", autocomplete: "username", required: true, autocapitalize: "off" });
    const word = h("input", { class: "field", id: "password", name: "password", type: "password", autocomplete: "current-password", required: true });
    const said = h("p", { class: "login-error", role: "alert" }), button = h("button", { class: "button primary lg", type: "submit" }, t("login"));
    const form = h("form", { class: "block login" }, h("h1", {}, app.config.title || t("login")),
        app.config.auth_message ? h("p", {}, app.config.auth_message) : null,
        h("label", { class: "label", for: "user" }, t("user")), user, h("label", { class: "label", for: "password" }, t("password")), word, said, button);
    form.addEventListener("submit", async (e) => {
        e.preventDefault();
        button.disabled = true;
        said.textContent = "";
        try {
            const answer = await fetch("login", { method: "POST", body: new URLSearchParams({ username: user.value, password: word.value }), credentials: "same-origin" });
            if (answer.ok) return location.reload();
            said.textContent = answer.status === 429 ? t("tooMany") : t("wrongLogin");
        } catch {
            said.textContent = t("lost");
        }
        button.disabled = false;
        word.select();
    });
    document.body.append(h("main", { class: "main login-page" }, form));
    user.focus();
}
