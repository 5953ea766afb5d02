/* The pages of the lab, and which handler each button runs. */
#include "lab.h"
#include <string.h>

static struct m8_block *audio(m8_block *row, const char *label, const char *type)
{
    return m8_audio(row, &(m8_file_opts){ .label = label, .type = type });
}

/* A button with the endpoint's name. */
static m8_event *press(m8_block *page, const char *name, m8_fn fn, m8_event_opts opts)
{
    opts.api_name = name;
    return m8_on(m8_button(page, &(m8_button_opts){ .text = name }), M8_CLICK, fn, &opts);
}

struct parts {
    m8_block *text, *n, *out, *out2, *json, *state;
    m8_block *file_in, *file_out, *audio_in, *audio_out, *stream_out, *mic, *gallery;
};

static void components(struct parts *p, m8_block *page)
{
    m8_block *row = m8_row(page, NULL);
    p->text = m8_textbox(row, &(m8_textbox_opts){ .label = "Text" });
    p->n = m8_number(row, &(m8_number_opts){ .label = "N", .has_value = true, .value = 3 });
    p->out = m8_textbox(row, &(m8_textbox_opts){ .label = "Out" });
    p->out2 = m8_textbox(row, &(m8_textbox_opts){ .label = "Out 2" });
    p->json = m8_json(row, &(m8_show_opts){ .label = "Json" });
    p->state = m8_state(row, "0", 0);
    row = m8_row(page, NULL);
    p->file_in = m8_file(row, &(m8_file_opts){ .label = "File in" });
    p->file_out = m8_file(row, &(m8_file_opts){ .label = "File out" });
    p->audio_in = audio(row, "Audio in", "filepath");
    p->audio_out = audio(row, "Audio out", "numpy");
    p->stream_out = m8_audio(
        row, &(m8_file_opts){ .label = "Stream out", .streaming = true, .autoplay = true, .type = "numpy" });
    p->mic = m8_audio(row, &(m8_file_opts){ .label = "Mic stream", .sources = "microphone", .streaming = true });
    p->gallery = m8_gallery(row, &(m8_file_opts){ .label = "Gallery" });
}

static void text_events(const struct parts *p, m8_block *page)
{
    m8_event *counting = press(page, "count", count,
                               (m8_event_opts){ .in = { p->n },
                                                .out = { p->out, p->json },
                                                .params = { "n" },
                                                .generator = true,
                                                .concurrency_limit = -1 });
    m8_event *stepping = press(
        page, "stepper", stepper,
        (m8_event_opts){
            .in = { p->n }, .out = { p->n }, .params = { "n" }, .generator = true, .concurrency_limit = -1 });
    m8_on(m8_button(page, &(m8_button_opts){ .text = "stop" }), M8_CLICK, NULL,
          &(m8_event_opts){ .cancels = { counting, stepping } });
    m8_event_opts text = { .in = { p->text }, .out = { p->out }, .params = { "t" } };
    m8_event_opts number = { .in = { p->n }, .out = { p->out }, .params = { "n" } };
    press(page, "progress", progress, number);
    press(page, "warn", warn, text);
    press(page, "fail", fail, text);
    press(page, "crash", crash, text);
    text.generator = true;
    press(page, "failgen", failgen, text);
    number.concurrency_limit = 1;
    press(page, "slow", slow, number);
    number.concurrency_limit = 4;
    number.concurrency_id = "par";
    press(page, "slow_par", slow, number);
    press(page, "counter", counter, (m8_event_opts){ .in = { p->state }, .out = { p->state, p->out }, .params = { "s" } });
}

static void file_events(const struct parts *p, m8_block *page, struct lab *lab)
{
    press(page, "file_echo", file_echo, (m8_event_opts){ .in = { p->file_in }, .out = { p->file_out }, .params = { "f" } });
    press(page, "audio_echo", file_echo,
          (m8_event_opts){ .in = { p->audio_in }, .out = { p->audio_out }, .params = { "a" } });
    press(page, "fast", fast, (m8_event_opts){ .in = { p->text }, .out = { p->out }, .params = { "t" }, .queue = M8_NO });
    press(page, "batch", batch,
          (m8_event_opts){
              .in = { p->text }, .out = { p->out }, .params = { "ts" }, .batch = true, .max_batch_size = 4 });
    press(page, "tone", tone, (m8_event_opts){ .out = { p->stream_out }, .generator = true, .user = lab });
    press(page, "gallery_stream", gallery_stream, (m8_event_opts){ .out = { p->gallery }, .generator = true, .user = lab });
}

static void other_events(const struct parts *p, m8_block *page)
{
    m8_event_opts text = { .in = { p->text }, .out = { p->out }, .params = { "t" } };
    press(page, "whoami", whoami, text);
    m8_event_opts hidden = text;
    hidden.api_visibility = M8_PRIVATE;
    press(page, "hidden_one", echo, hidden);
    press(page, "update", update, (m8_event_opts){ .in = { p->text }, .out = { p->out2 }, .params = { "t" } });
    m8_event *first = press(page, "chain1", echo, text);
    m8_success(first, chain2,
               &(m8_event_opts){ .api_name = "chain2", .in = { p->out }, .out = { p->out2 }, .params = { "t" } });
    m8_event *bad = press(page, "badchain", fail, text);
    m8_success(bad, bad_success, &(m8_event_opts){ .api_name = "bad_success", .out = { p->out2 } });
    m8_failure(bad, bad_failure, &(m8_event_opts){ .api_name = "bad_failure", .out = { p->out2 } });
    m8_on(p->mic, M8_STREAM, mic,
          &(m8_event_opts){ .api_name = "mic",
                            .in = { p->mic, p->state },
                            .out = { p->state, p->out2 },
                            .params = { "chunk", "s" },
                            .time_limit_s = 15,
                            .stream_every_s = 0.5 });
    m8_on(page, M8_LOAD, on_load, &(m8_event_opts){ .api_name = "on_load", .out = { p->out2 } });
}

m8_status lab_build(m8_blocks **out, struct lab *lab, m8_error *err)
{
    m8_status st = m8_blocks_new(out, &(m8_blocks_opts){ .title = "Lab" }, err);
    if (st) return st;
    m8_block *page = m8_blocks_root(*out);
    struct parts p;
    components(&p, page);
    press(page, "echo", echo, (m8_event_opts){ .in = { p.text }, .out = { p.out }, .params = { "t" } });
    text_events(&p, page);
    file_events(&p, page, lab);
    other_events(&p, page);
    m8_api(*out, typed, (m8_api_param[]){ { "n", "int", NULL }, { "t", "str", "\"dflt\"" } }, 2,
           (const char *[]){ "str" }, 1,
           &(m8_event_opts){ .api_name = "typed", .description = "Join a number and a text." });
    return M8_OK;
}

m8_status iface_build(m8_blocks **out, struct lab *lab, m8_error *err)
{
    m8_status st = m8_interface_new(
        out,
        &(m8_interface_opts){ .title = "Draw",
                              .description = "Two squares",
                              .fn = draw,
                              .show_flag = true,
                              .examples = "[[\"a red square\"], [\"a blue square\"]]",
                              .event = { .api_name = "draw", .params = { "prompt" }, .user = lab } },
        err);
    if (st) return st;
    m8_textbox(m8_interface_in(*out), &(m8_textbox_opts){ .label = "Prompt" });
    m8_gallery(m8_interface_out(*out), &(m8_file_opts){ .label = "Images" });
    return M8_OK;
}

m8_status full_build(m8_blocks **out, struct lab *lab, m8_error *err)
{
    m8_status st = m8_blocks_new(out, &(m8_blocks_opts){ .title = "Full" }, err);
    if (st) return st;
    m8_block *page = m8_blocks_root(*out);
    m8_block *n = m8_number(page, &(m8_number_opts){ .label = "N" }),
             *text = m8_textbox(page, &(m8_textbox_opts){ .label = "Out" });
    press(page, "slow", slow, (m8_event_opts){ .in = { n }, .out = { text }, .params = { "n" } });
    return M8_OK;
}
