/* Routes of the program beside the page: /health, /metrics. */
#ifndef APP_ROUTES_H
#define APP_ROUTES_H

#include "ball_app.h"

struct routes;
m8_status routes_add(struct routes **out, m8_http *h, m8_blocks *blocks, struct ball_app *ball, struct served *served, m8_error *err);
void routes_free(struct routes *r); /* after m8_http_close; waits for a check that still runs */

#endif
