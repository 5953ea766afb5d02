/* The edits of a generator's later values: [action, path, value], applied in order to what was there before. */

const own = (target, key) => Object.prototype.hasOwnProperty.call(target, key);

function edit(value, [action, path, what]) {
    if (!Array.isArray(path)) throw new TypeError("a path is a list");
    if (path.length === 0) {
        if (action === "replace") return what;
        if (action === "append") return (value ?? "") + what;
        throw new TypeError(`${action} of a whole value`);
    }
    let at = value;
    for (const key of path.slice(0, -1)) {
        if (at === null || typeof at !== "object" || !own(at, key)) throw new TypeError(`no ${JSON.stringify(path)} in the value`);
        at = at[key];
    }
    const key = path[path.length - 1];
    if (at === null || typeof at !== "object" || key === "__proto__") throw new TypeError(`no ${JSON.stringify(path)} in the value`);
    switch (action) {
    case "replace": at[key] = what; break;
    case "append": at[key] = (at[key] ?? "") + what; break;
    case "add":
        if (Array.isArray(at)) at.splice(Number(key), 0, what);
        else at[key] = what;
        break;
    case "delete":
        if (Array.isArray(at)) at.splice(Number(key), 1);
        else delete at[key];
        break;
    default: throw new TypeError(`unknown action ${action}`);
    }
    return value;
}

/* The new value; the old one is not touched, for components hold it. */
export function applyEdits(value, edits) {
    if (!edits.length) return value;
    let next = edits.every((e) => e[1].length === 0) ? value : structuredClone(value);
    for (const e of edits) next = edit(next, e);
    return next;
}

/* One message's data: whole values the first time, a list of edits for each output later. */
export function applyData(before, data) {
    if (!before) return data;
    return data.map((edits, i) => applyEdits(before[i] ?? null, edits));
}
