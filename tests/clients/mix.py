"""mix.py: 64 sessions at once, each with marks of its own in every text: no mark may come out in another session's stream, no answer
may be lost or doubled, and each session's counter counts that session alone. An argument that is a number: turns of each session (40)."""
import random, threading, time
from kit import *

SESSIONS, TURNS = 64, next((int(a) for a in sys.argv[1:] if a.isdigit()), 5 if ORACLE else 40)
sys.argv[1:] = [a for a in sys.argv[1:] if not a.isdigit()]
ECHO, COUNT, COUNTER = 0, 1, 12
wrong, turns, lock = [], [0], threading.Lock()


def visitor(number):
    """Echo and counter turns in a random order, one or three at a time; what comes must be exactly what was asked."""
    dice, session, counted, said = random.Random(number), Session(LAB), 0, 0
    try:
        while said < TURNS:
            wanted = {}
            for _ in range(dice.choice((1, 1, 3))):
                if dice.random() < 0.3:
                    counted += 1
                    # events of one group run one after the other, in their order: the counter's value is known
                    wanted[session.join(COUNTER, [None])] = [None, str(counted)]
                else:
                    text = f"mark-{number}-{said}-" + "x" * dice.choice((0, 10, 3000))
                    wanted[session.join(ECHO, [text])] = [text]
                said += 1
            got = {}
            for message in session.rest():
                text = json.dumps(message)
                for mark in re.findall(r"mark-(\d+)-", text):
                    if int(mark) != number:
                        raise Bad(f"session {number} got a message of session {mark}: {short(text)}")
                event = message.get("event_id")
                if event is not None and event not in wanted:
                    raise Bad(f"session {number} got a message of an event that is not its own: {short(text)}")
                if message["msg"] == "process_completed":
                    if event in got:
                        raise Bad(f"session {number}: an event was completed twice")
                    got[event] = message["output"].get("data")
            if got != wanted:
                raise Bad(
                    f"session {number}: expected {short(list(wanted.values()))}, got {short(list(got.values()))}")
            with lock:
                turns[0] += len(wanted)
    except Exception as error:
        wrong.append(str(error) if isinstance(error, Bad) else f"session {number}: {type(error).__name__} {error}")
    finally:
        session.close()


@test("64 sessions keep apart")
def _():
    began = time.monotonic()
    threads = [threading.Thread(target=visitor, args=(i, )) for i in range(SESSIONS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(f"{turns[0]} turns of {SESSIONS} sessions in {time.monotonic() - began:.1f} s", file=sys.stderr)
    need(not wrong, lambda: f"{len(wrong)} sessions failed; {wrong[0]}")
    need(turns[0] >= SESSIONS * TURNS, f"{turns[0]} turns")


main("mix")
