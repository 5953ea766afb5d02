/* Before anything is drawn: dark or light. Not a module, for modules run too late for that. */
(() => {
    const system = matchMedia("(prefers-color-scheme: dark)");
    const theme = window.m8Theme = {
        get chosen() {
            const asked = new URLSearchParams(location.search).get("__theme");
            if (asked === "dark" || asked === "light") return asked;
            try {
                return localStorage.getItem("m8-theme");
            } catch {
                return null;
            }
        },
        choose(name) {
            try {
                if (name) localStorage.setItem("m8-theme", name);
                else localStorage.removeItem("m8-theme");
            } catch { /* no storage: for this page only */ }
            theme.apply(name);
        },
        apply(name = theme.chosen) {
            const dark = name ? name === "dark" : system.matches;
            document.documentElement.dataset.theme = dark ? "dark" : "light";
            document.documentElement.classList.toggle("dark", dark); /* what Gradio's themes are written for */
        },
    };
    system.addEventListener("change", () => theme.apply());
    theme.apply();
})();
