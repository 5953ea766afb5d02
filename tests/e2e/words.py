"""words.py FILE: lines of "name<TAB>words said<TAB>words heard"; counts the words that are wrong (edits between the two)."""
import sys


def edits(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


wrong = said = 0
for line in open(sys.argv[1], encoding="utf-8"):
    name, want, got = line.rstrip("\n").split("\t")
    n = edits(want.split(), got.split())
    wrong += n
    said += len(want.split())
    if n * 4 <= len(want.split()):
        print(f"ok listen {name}: {n} words wrong")
    else:
        print(f"not ok listen {name}: heard '{got}', said was '{want}'")
print(f"{'ok' if said and wrong * 10 <= said else 'not ok'} listen all: {wrong} of {said} words wrong")
