"""recorded.py: what Gradio was recorded to send (tests/data/gradio), and comparing with it. A placeholder of a recording stands for what
was different in every run: ${ROOT} the address, ${TMP} a folder, ${ID_n} 32 hex digits, ${SHA256_n} the name of a folder, ... ; it must be
the same wherever it stands. Times are compared by their type only."""
import json, os, re
from kit import *

FOLDER = os.path.join(DATA, "gradio")
PATTERNS = {
    "ID": r"[0-9a-f]{32}", "SHA": r"[0-9A-Za-z_-]{8,128}", "TMP": r"/[^\s\"]*?", "SEGMENT": r"[0-9a-f-]{36}",
    "TOKEN": r"[^=;\" ]{16,}", "COOKIE": r"[^=;\" ]+"
}
LOOSE = {"app_id", "component_class_id", "theme_hash", "additional_description", "delete_callback"}


def trace(name):
    with open(os.path.join(FOLDER, name + ".json")) as file:
        return json.load(file)["exchange"]


class Match:
    """Compares with a recording; knows what the placeholders stand for in this run."""
    def __init__(self, base, **known):
        self.known = {"ROOT": base, **known}

    def fill(self, value):
        """Placeholders that are known by now, in something that is to be sent."""
        if isinstance(value, str):
            return re.sub(r"\$\{(\w+)\}", lambda m: self.known.get(m[1], m[0]), value)
        if isinstance(value, dict):
            return {k: self.fill(v) for k, v in value.items()}
        return [self.fill(v) for v in value] if isinstance(value, list) else value

    def text(self, want, got):
        names, pattern = [], ""
        for part in re.split(r"(\$\{\w+\})", want):
            name = part[2:-1] if part.startswith("${") else None
            if name is None:
                pattern += re.escape(part)
            elif name in self.known:
                pattern += re.escape(self.known[name])
            elif name in names:
                pattern += f"(?P={name})"
            else:
                names.append(name)
                pattern += f"(?P<{name}>{PATTERNS[re.match('[A-Z]+', name)[0]]})"
        found = re.fullmatch(pattern, got, re.S)
        if found:
            self.known.update({n: found[n] for n in names})
        return bool(found)

    def differ(self, want, got, path=""):
        """The differences, each a readable line."""
        told = lambda: [f"{path or 'body'}: expected {short(want, 120)}, got {short(got, 120)}"]
        if isinstance(want, dict):
            if not isinstance(got, dict):
                return told()
            out = []
            for key, value in want.items():
                at = f"{path}.{key}" if path else key
                if key in LOOSE:
                    continue
                if key not in got:
                    out.append(f"{at}: missing, expected {short(value, 100)}")
                elif key in ("rank_eta", "eta") or key in ("duration", "average_duration") and "is_generating" in want \
                        or key in ("cache_duration", "avg_time") and "msg" in want or key == "time_limit" and "output" in want:
                    out += self.time(key, value, got[key], at)
                elif key == "code_snippets":
                    out += self.snippets(value, got[key], at)
                elif self.words(key, value, path):
                    if type(value) is not type(got[key]):
                        out.append(f"{at}: expected something like {short(value, 60)}, got {short(got[key], 60)}")
                else:
                    out += self.differ(value, got[key], at)
            return out + [f"{path}.{k}: not in the recording, got {short(got[k], 100)}" for k in got if k not in want]
        if isinstance(want, list):
            if not isinstance(got, list) or len(want) != len(got):
                return told()
            return [d for i, (w, g) in enumerate(zip(want, got)) for d in self.differ(w, g, f"{path}[{i}]")]
        if isinstance(want, str):
            return [] if isinstance(got, str) and self.text(want, got) else told()
        return [] if want == got and isinstance(want, bool) == isinstance(got, bool) else told()

    def words(self, key, value, path):
        """Explanations and examples, which everybody may put in words of his own."""
        if key == "description":
            return isinstance(value, str) and (len(value) > 100 or "$defs" in path)
        return key.startswith("example_input") and "http" in json.dumps(value)

    def time(self, key, want, got, at):
        number = isinstance(got, (int, float)) and not isinstance(got, bool) and got >= 0
        if number if want is not None and key not in (
                "rank_eta", "eta") else got is None or number and key in ("rank_eta", "eta"):
            return []
        return [f"{at}: expected {'a time' if want is not None else 'null'}, got {short(got)}"]

    def snippets(self, want, got, at):
        if not isinstance(got, dict):
            return [f"{at}: expected an object, got {short(got)}"]
        return [
            f"{at}.{k}: expected text with the address in it, got {short(got.get(k))}" for k, text in want.items()
            if not isinstance(got.get(k), str) or "${ROOT}" in text and self.known["ROOT"] not in got[k]
        ]

    def headers(self, want, reply):
        out, cookies = [], reply.all("set-cookie")
        for key, value in want:
            if key == "set-cookie":
                got = cookies.pop(0) if cookies else "no such cookie"
                plain = lambda text: sorted(p.strip().lower() for p in text.split(";")[1:]
                                            if not p.strip().lower().startswith("expires"))
                if not self.text(value.split(";")[0], got.split(";")[0]) or plain(value) != plain(got):
                    out.append(f"set-cookie: expected {value}, got {got}")
                continue
            got = reply.header(key)
            if key == "content-type" and got is not None:
                value, got = value.split(";")[0].strip(), got.split(";")[0].strip()
            if key == "vary" and value.lower() == "accept-encoding":
                continue
            if key in ("access-control-allow-methods", "allow", "access-control-allow-headers") and got is not None:
                value, got = (", ".join(sorted(p.strip() for p in t.split(","))) for t in (value, got))
            if got is None or not self.text(value, got):
                out.append(f"header {key}: expected {value}, got {got}")
        return out


def tell(name, differences, ours=None):
    """One test of many that a comparison makes."""
    name = "wire/" + name
    if sys.argv[1:] and not any(a in name for a in sys.argv[1:]):
        return
    if ours and ORACLE:
        say("skip", name, f"Gradio differs: {ours}")
    elif differences:
        more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
        say("not ok", name, differences[0] + more)
    else:
        say("ok", name)


def send(match, request, headers=()):
    """A recorded request, sent again."""
    given = [(k, match.fill(v)) for k, v in request.get("headers", {}).items()] + list(headers)
    body = None
    if "json" in request:
        body = match.fill(request["json"])
    elif "form" in request:
        body = "&".join(f"{k}={v}" for k, v in request["form"].items())
        given.append(("Content-Type", "application/x-www-form-urlencoded"))
    elif "body" in request:
        body = request["body"]
    return ask(match.known["ROOT"], request["method"], match.fill(request["path"]), given, body)


def compare_reply(name, match, want, reply, ours=None):
    out = [] if reply.status == want["status"] else [
        f"status: expected {want['status']}, got {reply.status} {short(reply.body)}"
    ]
    body = want["body"]
    if not out:
        out = match.headers(want["headers"], reply)
        if isinstance(body, str) and re.fullmatch(r"<\d+ bytes>", body):
            out += [] if reply.body else ["body: it is empty"]
        elif isinstance(body, str) and (reply.header("content-type") or "").startswith("text/event-stream"):
            out += match.differ(events(body), events(reply.body.decode("utf-8", "replace")), "event")
        elif isinstance(body, str) and not any(
                v.startswith("application/json") for k, v in want["headers"] if k == "content-type"):
            out += match.differ(body, reply.body.decode("utf-8", "replace"))
        else:
            try:
                got = json.loads(reply.body)
            except ValueError:
                got = None
                out.append(f"body: no JSON: {short(reply.body)}")
            if want["status"] == 422 and isinstance(got, dict):
                out += compare_detail(body["detail"], got.get("detail"))
            elif not out or got is not None:
                out += match.differ(body, got)
    tell(name, out, ours)


def events(text):
    """The messages of an event stream: name and value of each, for blanks within JSON do not matter."""
    out = []
    for block in text.split("\n\n"):
        name, _, value = block.partition("\ndata: ")
        try:
            out.append([name, json.loads(value)])
        except ValueError:
            out.append([name, value])
    return out


def compare_detail(want, got):
    """What is wrong with a request: type and place must be told, how it is put is free."""
    if not isinstance(got, list) or not got:
        return [f"detail: expected a list of what is wrong, got {short(got)}"]
    keys = ("type", "loc") if want[0]["type"] == "missing" else ("type", )
    cut = lambda items: [{k: i.get(k) for k in keys} for i in items if isinstance(i, dict)]
    return [] if cut(want) == cut(got) else [f"detail: expected {short(cut(want))}, got {short(cut(got))}"]


def compare_events(name, match, want, got):
    want, got = [e["data"] for e in want if "data" in e], [m for m in got if m]
    # the tracked loop may tell that it is through before the result comes, or not: a matter of time
    through = lambda unit: unit["index"] is not None and unit["index"] == unit["length"]
    got = [m for m in got if not (m.get("msg") == "progress" and through(m["progress_data"][0]))]
    names = lambda messages: [m.get("msg") for m in messages]
    tell(f"{name}/order", [] if names(want) == names(got) else
         [f"expected {' '.join(names(want))}, got {' '.join(map(str, names(got)))}"])
    for i, (w, g) in enumerate(zip(want, got)):
        if w.get("msg") == g.get("msg"):
            tell(f"{name}/message {i + 1} {w.get('msg')}", match.differ(w, g))


def guard(name, function, *args):
    try:
        function(*args)
    except Exception as error:
        tell(name, [f"{type(error).__name__}: {error}"])
