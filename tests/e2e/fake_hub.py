"""A hub to test against: resolve URLs, the API, large files on a second host (127.0.0.2), and the ways in which it can go wrong.

Used by pull.py; by hand: python3 fake_hub.py, then HF_ENDPOINT=(what it prints) magic8 pull test/small
"""
import hashlib
import json
import random
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

COMMIT = "c0ffee" + "0" * 34


def git_sha1(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub:
    """files: path -> bytes; those over 100 kB are large ones. `how` says what goes wrong; `log` is what was asked."""

    def __init__(self, files):
        self.files = {"test/small": files}
        self.large = 100_000
        self.how = {}
        self.log = []
        self.lock = threading.Lock()
        self.count = {}
        self.cdn = self.serve("127.0.0.2")
        self.hub = self.serve("127.0.0.1")
        self.url = "http://127.0.0.1:%d" % self.hub.server_address[1]
        self.cdn_url = "http://127.0.0.2:%d" % self.cdn.server_address[1]

    def serve(self, host):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *a):
                pass

            def do_HEAD(self):
                self.answer()

            def do_GET(self):
                self.answer()

            def answer(self):
                with outer.lock:
                    outer.log.append((host, self.command, self.path, dict(self.headers)))
                try:
                    outer.answer(self, host)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

        class Server(ThreadingHTTPServer):
            def handle_error(self, *a):
                pass  # a client that was killed

        server = Server((host, 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def reset(self, **how):
        self.how = how
        self.log.clear()
        self.count.clear()

    def times(self, what):
        """How often this was asked before."""
        with self.lock:
            self.count[what] = self.count.get(what, 0) + 1
            return self.count[what] - 1

    def asked(self, host=None, method=None, part=""):
        return [r for r in self.log if (not host or r[0] == host) and (not method or r[1] == method) and part in r[2]]

    @staticmethod
    def reply(h, status, headers=None, body=b""):
        h.send_response(status)
        headers = dict(headers or {})
        headers.setdefault("Content-Length", str(len(body)))
        for k, v in headers.items():
            h.send_header(k, v)
        h.end_headers()
        if h.command != "HEAD":
            h.wfile.write(body)

    def answer(self, h, host):
        how = self.how
        if "status" in how and self.times("status") < how.get("status_times", 1 << 30):
            return self.reply(h, how["status"], how.get("status_headers"), b"<html>no</html>")
        if "raw" in how:
            h.wfile.write(how["raw"])
            h.close_connection = True
            return None
        path = unquote(h.path.split("?")[0])
        if host == "127.0.0.2":
            return self.answer_cdn(h, path.split("/", 1)[1])
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            repo = "/".join(parts[2:4])
            if repo not in self.files:
                return self.reply(h, 404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
            if len(parts) > 5 and "/".join(parts[5:]) not in ("main", "refs/pr/1", COMMIT):
                return self.reply(h, 404, {"X-Error-Code": "RevisionNotFound"})
            if "api" in how:
                return self.reply(h, 200, {}, how["api"])
            names = how.get("names", list(self.files[repo]))
            entries = [{"rfilename": n, **(self.blob(self.files[repo].get(n, b"")) if "blobs=true" in h.path else {})} for n in names]
            return self.reply(h, 200, {}, json.dumps({"id": repo, "sha": COMMIT, "siblings": entries}).encode())
        repo, name = "/".join(parts[:2]), "/".join(parts[4:])
        return self.answer_file(h, repo, name)

    def blob(self, data):
        lfs = {"lfs": {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}} if len(data) > self.large else {}
        return {"blobId": git_sha1(data), "size": self.how.get("api_size", len(data)), **lfs}

    def answer_file(self, h, repo, name):
        how = self.how
        if repo not in self.files:
            return self.reply(h, 404, {"X-Error-Code": "RepoNotFound"})
        if name not in self.files[repo]:
            return self.reply(h, 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        data = self.files[repo][name]
        head = {"X-Repo-Commit": how.get("commit", COMMIT)}
        if len(data) <= self.large:
            head["ETag"] = how.get("etag", '"%s"' % git_sha1(data))
            return self.send(h, name, data, head)
        head["ETag"] = '"%s"' % ("f" * 32)
        head["X-Linked-Etag"] = how.get("etag", '"%s"' % hashlib.sha256(data).hexdigest())
        head["X-Linked-Size"] = str(how.get("size", len(data)))
        head["Location"] = how.get("location", "%s/%s/%s?sig=%%2Fa%%2bb" % (self.cdn_url, repo, name))
        return self.reply(h, 302, head, b"go there")

    def answer_cdn(self, h, path):
        repo, name = "/".join(path.split("/")[:2]), "/".join(path.split("/")[2:])
        if "?sig=%2Fa%2bb" not in h.path:
            return self.reply(h, 403, {}, b"bad signature")
        if self.how.get("expired") and self.times("expired") < self.how["expired"]:
            return self.reply(h, 403, {}, b"expired")
        return self.send(h, name, self.files[repo][name], {})

    def send(self, h, name, data, head):
        how = self.how
        if "wrong" in how and h.command == "GET":
            data = bytes([data[0] ^ 1]) + data[1:]
        if "longer" in how and h.command == "GET":
            data = data + b"more"
        start, status = 0, 200
        wanted = h.headers.get("Range")
        if wanted and not how.get("no_range"):
            start = int(wanted.split("=")[1].split("-")[0])
            if start >= len(data):
                return self.reply(h, 416, {"Content-Range": "bytes */%d" % len(data)})
            status = 206
            head["Content-Range"] = "bytes %d-%d/%d" % (start + how.get("range_off", 0), len(data) - 1, len(data))
        body = data[start:]
        head["Content-Length"] = str(len(body))
        h.send_response(status)
        for k, v in head.items():
            h.send_header(k, v)
        h.end_headers()
        if h.command == "HEAD":
            return None
        stop = len(body)
        if "cut" in how and len(data) > 1000 and self.times("cut " + name) < how.get("cut_times", 1):
            stop = min(stop, how["cut"])
        step = how.get("step", 1 << 16)
        for at in range(0, stop, step):
            h.wfile.write(body[at:min(at + step, stop)])
            if "wait" in how:
                time.sleep(how["wait"])
        if "stall" in how and len(data) > 1000:
            time.sleep(how["stall"])
        if stop < len(body):
            h.wfile.flush()
            h.connection.shutdown(socket.SHUT_RDWR)
            h.close_connection = True
        return None


def sample(seed=1, size=3_000_000):
    r = random.Random(seed)
    return {
        "config.json": b'{"a": 1}\n',
        "model.bin": r.randbytes(size),
        "sub/deep/words.txt": b"one\ntwo\n" * 50,
        "empty.txt": b"",
    }


if __name__ == "__main__":
    print(Hub(sample()).url, flush=True)
    threading.Event().wait()
