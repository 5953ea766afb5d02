"""Shared by the peers' commands: their virtual environment, where the models lie, turns, the line that `magic8 bench` reads."""
import argparse, json, os, pathlib, statistics, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = pathlib.Path(os.environ.get("PEERS_DIR") or os.path.join(tempfile.gettempdir(), "peers"))
QUESTION = ROOT / "data" / "question.webm"

# A core type forced on OpenBLAS would slow numpy down on other machines; it is read when numpy is loaded.
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)

VENV = getattr(sys.modules["__main__"], "VENV", "venv")  # a script that needs another one says so before it takes this in
python = PEERS / VENV / "bin" / "python"
if pathlib.Path(sys.prefix).resolve() != (PEERS / VENV).resolve():
    if not python.exists():
        sys.exit(f"{python}: not there; run bench/peers/setup.sh {VENV.removeprefix('venv').lstrip('-')} first")
    os.execv(python, [str(python), *sys.argv])


def options(what, argument=None, default=None):
    """The command line that all peers share; `argument` is what may stand without an option's name."""
    p = argparse.ArgumentParser(description=what)
    if argument:
        p.add_argument(argument, nargs="?", default=default)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--times", type=int, default=3, help="how often, after one time to warm up; medians are printed")
    return p


def model_path(catalog_id):
    """Where our own program keeps a model: both run the same file."""
    magic8 = os.environ.get("MAGIC8") or ROOT / "build" / "app" / "magic8"
    try:
        p = subprocess.run([magic8, "models", "--path", catalog_id], stdout=subprocess.PIPE, text=True)
    except OSError as e:
        sys.exit(f"{magic8}: {e.strerror}; build it, or set MAGIC8")
    return p.stdout.strip() if p.returncode == 0 else sys.exit(p.returncode)  # it has said why


def measure(once, times):
    """Call once(turn) to warm up (turn 0) and then `times` times; print the medians of its figures, and its last words."""
    turns = [once(turn) for turn in range(times + 1)][1:]
    line = {k: statistics.median(t[k] for t in turns) if isinstance(v, (int, float)) else v for k, v in turns[-1].items()}
    print(json.dumps(line), flush=True)
