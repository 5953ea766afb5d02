"""security.py: hostile requests, byte by byte. A test is named after the case of the security list that it checks; "refused" is a 4xx
with a short reason within 5 s, or a closed connection: no 5xx, and the server goes on serving. Gradio itself fails many of these.
A files and paths, B uploads, C requests by the server, D sessions and login, E the HTTP layer, F JSON, I text, page and logs."""
from hostile import *
import hostile_files, hostile_uploads, hostile_sessions, hostile_http, hostile_text


# last, for it leaves the login shut
@test("D6 eighty wrong logins")
def _():
    statuses = []
    for i in range(80):
        statuses.append(
            post(AUTH, "/login", f"username=guess&password=w{i}".encode(),
                 [("Content-Type", "application/x-www-form-urlencoded")]).status)
        if statuses[-1] == 429:
            break
    need(429 in statuses, f"statuses {set(statuses)}")


# the case that needs the most time runs beside the others, and is asked at the end
slow = hostile_http.Slow(daemon=True)
hostile_http.slow = slow
late = [t for t in tests if t[0].startswith(("E3 a head", "D6"))]
tests[:] = [t for t in tests if t not in late] + late
slow.start()
main("security", serves, falls_short=True)
