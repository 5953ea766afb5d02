/* greet [PORT]: a page with a name, a button and a greeting. */
#include <m8/ui.h>
#include <stdio.h>
#include <stdlib.h>

static m8_status greet(m8_call *c, m8_error *err)
{
    if (!*m8_in_text(c, 0)) return m8_raise(c, err, NULL, "Who are you?");
    return m8_out_printf(c, 0, "Hello, %s!", m8_in_text(c, 0));
}

int main(int argc, char **argv)
{
    m8_error err = {0};
    m8_blocks *app;
    m8_status st = m8_blocks_new(&app, &(m8_blocks_opts){ .title = "Greeter" }, &err);
    m8_block *page = m8_blocks_root(app);
    m8_block *name = m8_textbox(page, &(m8_textbox_opts){ .label = "Name" }), *out = m8_textbox(page, &(m8_textbox_opts){ .label = "Greeting" });
    m8_block *go = m8_button(page, &(m8_button_opts){ .text = "Greet", .variant = "primary" });
    m8_event *event = m8_on(go, M8_CLICK, greet, &(m8_event_opts){ .api_name = "greet", .params = { "name" }, .in = { name }, .out = { out } });
    m8_also(event, name, M8_SUBMIT);
    if (!st) st = m8_launch(app, &(m8_launch_opts){ .port = argc > 1 ? atoi(argv[1]) : 0 }, &err);
    if (st) fprintf(stderr, "greet: %s\n", m8_error_text(&err));
    m8_blocks_free(app);
    return st ? 1 : 0;
}
