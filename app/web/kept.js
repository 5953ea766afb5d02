/* The last answers: for this visit with their sound, in this browser's storage as text and times. */
const KEY = "magic8-answers", MOST = 50;

function clean(list) {
    const text = (x) => (typeof x === "string" ? x.slice(0, 2000) : ""), ms = (x) => (Number.isFinite(x) ? x : null);
    return (Array.isArray(list) ? list : []).filter((e) => e && typeof e === "object" && typeof e.answer === "string").slice(0, MOST)
        .map((e) => ({ at: ms(e.at) ?? 0, question: text(e.question), answer: text(e.answer), heard: ms(e.heard), word: ms(e.word), sound: ms(e.sound) }));
}

export class Kept {
    constructor(storage) {
        this.storage = storage;
        try {
            this.list = clean(JSON.parse(storage?.getItem(KEY) ?? "[]"));
        } catch {
            this.list = [];
        }
    }

    /* entry: { at, question, answer, heard, word, sound, bytes? }, the times in ms since the question's end. */
    add(entry) {
        this.list.unshift(entry);
        this.list.length = Math.min(this.list.length, MOST);
        this.store();
    }

    clear() {
        this.list = [];
        this.store();
    }

    store() {
        try {
            if (this.list.length) this.storage?.setItem(KEY, JSON.stringify(clean(this.list)));
            else this.storage?.removeItem(KEY);
        } catch { /* full, or forbidden: then for this visit only */ }
    }
}
