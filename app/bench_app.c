/* The app that is measured beside Gradio, by bench_serve.c and by `magic8 bench app PORT` alone: on 127.0.0.1
 *   echo   text -> the same text; no concurrency limit
 *   echo1  the same with the default limit of one at a time
 *   count  generator of 500 growing texts, as fast as possible; no limit
 *   tone   generator of four MP3 chunks of 1 s, 0.2 s between; outputs: streamed sound, and a text that is the time
 *          (CLOCK_MONOTONIC, seconds) at which the chunk was handed over */
#include "bench.h"
#include <m8/audio.h>
#include <m8/ui.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

enum { RATE = 44100, CHUNKS = 4 };
static m8_buf sound[CHUNKS];

static m8_status echo(m8_call *c, m8_error *err) { return m8_out_text(c, 0, m8_in_text(c, 0)); }

static m8_status count(m8_call *c, m8_error *err)
{
    m8_buf text = {0};
    m8_status st = M8_OK;
    for (int i = 0; i < 500 && !st; i++) {
        m8_buf_printf(&text, "word%d ", i);
        st = text.status ? text.status : m8_out_text(c, 0, text.data);
        if (!st) st = m8_yield(c);
    }
    m8_buf_finish(&text);
    return st;
}

static m8_status tone(m8_call *c, m8_error *err)
{
    m8_status st = M8_OK;
    for (int i = 0; i < CHUNKS && !st; i++) {
        double now = m8_now_s();
        st = m8_out_chunk(c, 0, sound[i].data, sound[i].len);
        if (!st) st = m8_out_printf(c, 1, "%.6f", now);
        if (!st) st = m8_yield(c);
        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    }
    return st;
}

static m8_status append(void *user, const void *data, size_t n)
{
    m8_buf_add(user, data, n);
    return ((m8_buf *)user)->status;
}

/* One second of a sine as MP3, 64 kbit/s, -12 dB. */
static m8_status make_sound(m8_buf *out, double hertz, m8_error *err)
{
    static float pcm[RATE];
    for (int i = 0; i < RATE; i++) pcm[i] = 0.25f * (float)sin(2 * M_PI * hertz * i / RATE);
    m8_encoder *e;
    m8_encode_opts opts = {.format = M8_MP3, .rate = RATE, .bit_rate = 64000};
    m8_status st = m8_encoder_open(&e, &opts, (m8_bytes_sink){.push = append, .user = out}, err);
    if (!st) st = m8_encoder_push(e, pcm, RATE, err);
    if (!st) st = m8_encoder_finish(e, err);
    m8_encoder_close(e);
    return st;
}

static void log_line(void *user, m8_log_level level, const char *line) { fprintf(stderr, "bench app: %s\n", line); }

static void build(m8_block *page)
{
    m8_block *text = m8_textbox(page, NULL), *out = m8_textbox(page, NULL);
    m8_block *player = m8_audio(page, &(m8_file_opts){ .streaming = true, .autoplay = true });
    m8_on(m8_button(page, NULL), M8_CLICK, echo,
          &(m8_event_opts){ .api_name = "echo", .in = { text }, .out = { out }, .concurrency_limit = -1 });
    m8_on(m8_button(page, NULL), M8_CLICK, echo, &(m8_event_opts){ .api_name = "echo1", .in = { text }, .out = { out } });
    m8_on(m8_button(page, NULL), M8_CLICK, count,
          &(m8_event_opts){ .api_name = "count", .out = { out }, .generator = true, .concurrency_limit = -1 });
    m8_on(m8_button(page, NULL), M8_CLICK, tone,
          &(m8_event_opts){ .api_name = "tone", .out = { player, out }, .generator = true, .concurrency_limit = -1 });
}

m8_status bench_app(int port, m8_error *err)
{
    m8_blocks *app = NULL;
    m8_log_set(log_line, NULL, M8_LOG_WARN);
    m8_status st = m8_blocks_new(&app, NULL, err);
    for (int i = 0; i < CHUNKS && !st; i++) st = make_sound(&sound[i], 300 + 100 * i, err);
    if (!st) {
        build(m8_blocks_root(app));
        st = m8_launch(app, &(m8_launch_opts){ .port = port }, err);
    }
    m8_blocks_free(app);
    for (int i = 0; i < CHUNKS; i++) m8_buf_finish(&sound[i]);
    return st;
}
