#!/usr/bin/env python3
"""Names of uploads as Gradio cleans them: writes tests/data/ui/names.json, a list of [given, cleaned].
Made with gradio_client 2.7.2 (pip install gradio_client==2.7.2)."""
import json, pathlib, sys
from gradio_client.utils import strip_invalid_filename_characters as strip

GIVEN = [
    "a.txt", "../../x", "/tmp/x", "/etc/passwd", "a/b/c.wav", "a/b/", "a/./", "a/.", "x/..", "..", ".", "", "/", "//", "...", "....//a", "..a", ".hidden", ".hidden.txt",
    "my notes.txt", "a#b%c&d'e(f)+g.txt", "[x]{y}.txt", "$HOME`id`!.sh", "a<b>c:d\"e|f?g*h.png", "..\\..\\x.txt", "C:\\x\\a.txt", "a\r\nSet-Cookie: x.txt", "a\tb.txt",
    "\x1b[31mred.txt", "\x7f.txt", "#.txt", "*.txt", "?", "???.???", "a.", "a ", "a . .", "a.txt. .", " a.txt", "CON", "con.txt", "Con .txt", "NUL.tar.gz", "com1.txt", "COM0.txt",
    "LPT9", "lpt\u00b2.x", "COM\u00b9", "CONx", "aux.", "PRN", "CONIN$", "\u4f60\u597d.txt", "\u0645\u0631\u062d\u0628\u0627.wav", "\U0001f3b1.png", "e\u0301.txt", "a\u3000b.txt",
    "x" * 199 + ".txt", "x" * 5000, "x" * 5000 + ".txt", "\u4f60" * 100 + ".txt", "\U0001f3b1" * 60 + ".wav", "a." + "e" * 300, "a." + "\u4f60" * 90, "x" * 198 + ".t",
    "x" * 200, "x" * 201, "archive.tar.gz", "a..b", "a...txt", "-rf", "--help.txt", "~root", "a;b,c=d@e^f.txt", "CON" + "x" * 200 + ".txt", "tmp.0", "0", "a\u00a0b",
]

out = []
for given in GIVEN:
    cleaned = strip(pathlib.PurePosixPath(given).name) if given else None
    out.append([given, cleaned])
path = pathlib.Path(__file__).resolve().parent.parent / "tests/data/ui/names.json"
path.write_text(json.dumps(out, ensure_ascii=True, indent=0) + "\n")
print(len(out), "names", file=sys.stderr)
