#!/usr/bin/env python3
"""report.py TESTLOG.json: one line for each single test in a log of `meson test`: "ok NAME", "not ok NAME: why" or
"skip NAME: why". A cmocka program counts as many tests as it ran; any other program is one. What a failed one printed follows it."""
import json
import re
import sys

CASE = re.compile(r"^\[ +(OK|FAILED|SKIPPED) +\] (\S+)$", re.M)


def last_line(text):
    lines = [x for x in text.splitlines() if x.strip() and not x.startswith("[")]
    return lines[-1].strip()[:200] if lines else ""


def program(test):
    name, result = test["name"].rpartition(" / ")[2], test["result"]
    name = name.rpartition(":")[2]
    output = (test.get("stdout") or "") + "\n" + (test.get("stderr") or "")
    if result == "SKIP":
        yield "skip", name, last_line(output) or "no reason given"
        return
    cases = dict.fromkeys((case, how) for how, case in CASE.findall(output))
    failed = {case for case, how in cases if how == "FAILED"}
    for case, how in cases:
        if how == "OK" and case not in failed:
            yield "ok", f"{name}.{case}", ""
        elif how == "SKIPPED":
            yield "skip", f"{name}.{case}", last_line(output) or "no reason given"
    for case in sorted(failed):
        yield "not ok", f"{name}.{case}", ""
    if result not in ("OK", "EXPECTEDFAIL"):
        if not failed:
            yield "not ok", name, f"{result.lower()}, exit status {test.get('returncode')}"
        print(f"---- {name} printed:", output[-8000:], "----", sep="\n")
    elif failed:  # it counts failures and exits with 0: not to be believed
        yield "not ok", name, "exit status 0 in spite of failed cases"
    elif not cases:
        yield "ok", name, ""


def main(path):
    with open(path, encoding="utf-8", errors="replace") as log:
        for line in log:
            for how, name, why in program(json.loads(line)):
                print(f"{how} {name}" + (f": {why}" if why else ""))


main(sys.argv[1])
