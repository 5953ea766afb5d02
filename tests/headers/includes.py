#!/usr/bin/env python3
"""Each library includes only what it may: <m8/base.h>, its own public header, its own folder, and the foreign libraries
that it alone may see (doc/overview.md, "Who may include whom"). Also: no file is too long for one sitting."""
import os
import re

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
# folder: (our public headers, foreign headers). The longest folder that holds a file rules it.
MAY = {
    "include/m8": (r"base|http", r"$^"),
    "lib/base": (r"base", r"$^"),
    "lib/audio": (r"base|audio", r"libav(codec|format|util)/.*|libswresample/.*|dlfcn\.h"),
    "lib/infer": (r"base|infer", r"jansson\.h|zlib\.h"),
    "lib/infer/text": (r"base|infer", r"jansson\.h|pcre2\.h|utf8proc\.h|espeak-ng/.*"),
    "lib/http": (r"base|http", r"openssl/.*|arpa/inet\.h|netinet/\w+\.h"),
    "lib/hub": (r"base|hub", r"jansson\.h|curl/.*|openssl/.*|zip\.h"),
    "lib/ui": (r"base|audio|http|ui", r"jansson\.h|openssl/.*|arpa/inet\.h"),
    "app": (r".*", r"jansson\.h|arpa/inet\.h|netinet/\w+\.h"),
    "examples": (r".*", r"$^"),
    "examples/lab": (r".*", r"zlib\.h"),
}
SYSTEM = (
    r"(assert|ctype|errno|fcntl|fenv|float|inttypes|limits|locale|malloc|math|poll|pthread|sched|setjmp|signal|stdalign|stdarg|stdatomic|"
    r"stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|strings|threads|time|unistd|dirent|getopt|glob|spawn|ftw|wchar|wctype|"
    r"cpuid|immintrin|x86intrin|arm_neon|asm/\w+|linux/\w+|sys/\w+|sanitizer/\w+)\.h")
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)


def wrong(path, kind, name):
    folder = next(f for f in sorted(MAY, key=len, reverse=True) if path.startswith(f + "/"))
    ours, foreign = MAY[folder]
    if kind == '"':  # a file of the same library, by its path there or beside this file
        top = "/".join(path.split("/")[: 2 if path.startswith("lib/") else 1])
        places = [os.path.normpath(os.path.join(base, name)) for base in (os.path.dirname(path), top)]
        if any(p.startswith(top + "/") and os.path.exists(os.path.join(ROOT, p)) for p in places):
            return None
        return f'"{name}" is not in {top}'
    if name.startswith("m8/"):
        return None if re.fullmatch(ours, name[3:-2]) else f"<{name}> is not for {folder}"
    return None if re.fullmatch(SYSTEM + "|" + foreign, name) else f"<{name}> is not for {folder}"


def check(folder):
    files, bad = 0, 0
    for at, _, names in os.walk(os.path.join(ROOT, folder)):
        for name in sorted(n for n in names if n.endswith((".c", ".h"))):
            path = os.path.relpath(os.path.join(at, name), ROOT)
            files += 1
            with open(os.path.join(ROOT, path), encoding="utf-8") as f:
                text = f.read()
            reasons = [r for r in (wrong(path, k, n) for k, n in INCLUDE.findall(text)) if r]
            if text.count("\n") > 600:
                reasons.append("longer than 600 lines")
            for reason in reasons:
                print(f"not ok {path}: {reason}")
            bad += len(reasons)
    if files and not bad:
        print(f"ok {folder} includes only what it may ({files} files)")


for one in ("include/m8", "lib/base", "lib/http", "lib/audio", "lib/infer", "lib/hub", "lib/ui", "app", "examples"):
    check(one)
