/* progress [PORT]: a text that grows while its progress is shown, and can be stopped. */
#include <m8/ui.h>
#include <stdio.h>
#include <stdlib.h>
#include <threads.h>

static m8_status count(m8_call *c, m8_error *err)
{
    int n = (int)m8_in_number(c, 0);
    m8_status st = M8_OK;
    for (int i = 1; i <= n && !st; i++) {
        m8_progress_steps(c, i, n, "sheep", "Counting");
        thrd_sleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);
        st = m8_out_printf(c, 0, "%d sheep", i);
        if (!st) st = m8_yield(c); /* the visitor sees it; not M8_OK: he has left, or pressed Stop */
    }
    return st;
}

int main(int argc, char **argv)
{
    m8_error err = {0};
    m8_blocks *app;
    m8_status st = m8_blocks_new(&app, &(m8_blocks_opts){ .title = "Sheep" }, &err);
    m8_block *page = m8_blocks_root(app), *out = m8_textbox(page, &(m8_textbox_opts){ .label = "Count" });
    m8_block *n = m8_slider(page, &(m8_number_opts){ .label = "How many", .has_minimum = true, .minimum = 1, .has_value = true, .value = 10, .step = 1 });
    m8_block *row = m8_row(page, NULL), *go = m8_button(row, &(m8_button_opts){ .text = "Count", .variant = "primary" });
    m8_event *counting = m8_on(go, M8_CLICK, count, &(m8_event_opts){ .api_name = "count", .generator = true, .in = { n }, .out = { out } });
    m8_on(m8_button(row, &(m8_button_opts){ .text = "Stop" }), M8_CLICK, NULL, &(m8_event_opts){ .cancels = { counting } });
    if (!st) st = m8_launch(app, &(m8_launch_opts){ .port = argc > 1 ? atoi(argv[1]) : 0 }, &err);
    if (st) fprintf(stderr, "progress: %s\n", m8_error_text(&err));
    m8_blocks_free(app);
    return st ? 1 : 0;
}
