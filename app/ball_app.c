/* The magic 8 ball on the page. As the original: a microphone, a streamed spoken answer and its text; generate_response hears and answers,
 * read_response speaks. Private beside them, for our own page: `listen` hears what was said so far while one still speaks (at a pause), so
 * that little is left to do at the end, and `ask_text` takes a typed question. The question itself goes to the page as a toast that is not
 * shown; other clients have no use for it. */
#include "ball_app.h"
#include "app_data.h"
#include "heard.h"
#include "turn.h"
#include <string.h>

#define MOST_ASSETS 32
#define VISITORS 8 /* concurrency_limit of each event, as the original */

const char *const ball_stage_names[] = { "decoded", "heard", "answered", "first_sound", "spoken" };
const double ball_bucket_s[8] = { 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10 };

struct ball_app {
    struct served *served;
    pthread_mutex_t lock; /* of times */
    struct ball_times times;
    m8_asset assets[MOST_ASSETS]; /* borrowed by the blocks */
};

static void took(struct ball_app *b, enum ball_stage stage, double since_s)
{
    double s = m8_now_s() - since_s;
    pthread_mutex_lock(&b->lock);
    b->times.n[stage]++;
    b->times.sum_s[stage] += s;
    for (int i = 0; i < 8; i++) b->times.buckets[stage][i] += s <= ball_bucket_s[i];
    pthread_mutex_unlock(&b->lock);
}

void ball_app_times(struct ball_app *b, struct ball_times *out)
{
    pthread_mutex_lock(&b->lock);
    *out = b->times;
    pthread_mutex_unlock(&b->lock);
}

/* ---- a run that its visitor can end at any moment */

static void set_cancel(void *cancel) { m8_cancel_set(cancel); }

static m8_cancel *begin(m8_call *c)
{
    m8_cancel *cancel = m8_cancel_new();
    if (cancel) m8_on_cancel(c, set_cancel, cancel);
    return cancel;
}

static m8_status end(m8_call *c, m8_cancel *cancel, m8_status st)
{
    m8_on_cancel(c, NULL, NULL);
    m8_cancel_unref(cancel);
    return st;
}

/* ---- hearing */

static m8_status hear(struct ball_app *b, m8_call *c, m8_cancel *cancel, bool early, char **question, m8_error *err)
{
    m8_pcm pcm = {0};
    const char *path = m8_in_file(c, 0);
    *question = NULL;
    if (!path) return m8_raise(c, err, &(m8_toast_opts){ .title = "No question" }, "Record a question first");
    double start = m8_now_s();
    m8_error why = {0};
    m8_status st = served_decode(b->served, &pcm, path, &why);
    took(b, BALL_DECODED, start);
    if (st == M8_E_FORMAT) st = m8_raise(c, err, NULL, "This recording cannot be read; record it again, or send another format");
    else if (st) m8_fail(err, st, "%s", m8_error_text(&why));
    if (!st) st = served_wait(b->served, ROLE_ASR, cancel, err);
    start = m8_now_s();
    if (!st) st = heard_question(b->served, c, &pcm, cancel, early, question, err);
    if (!st && !early) took(b, BALL_HEARD, start);
    m8_pcm_finish(&pcm);
    return st;
}

/* ---- answering */

static m8_status ignore(void *user, const char *text, size_t n) { return m8_cancel_is_set(user) ? M8_E_CANCELLED : M8_OK; }

/* question -> state, answer, audio: the answer into the state and nothing into the two outputs, which so show progress until there is
 * sound: text and voice appear together. */
static m8_status answer(struct ball_app *b, m8_call *c, const char *question, m8_cancel *cancel, m8_error *err)
{
    const struct options *o = b->served->o;
    m8_buf whole = {0};
    m8_toast(c, M8_INFO, question, &(m8_toast_opts){ .hidden = true, .title = "heard" });
    m8_status st = served_wait(b->served, ROLE_LLM, cancel, err);
    double start = m8_now_s();
    if (!st) st = ball_answer(b->served->ball, question, o->seed ? o->seed : any_seed(), (m8_text_sink){ ignore, cancel }, cancel, &whole, err);
    if (!st) took(b, BALL_ANSWERED, start);
    if (!st) st = m8_out_text(c, 0, whole.data);
    if (!st) st = m8_out_null(c, 1);
    if (!st) st = m8_out_null(c, 2);
    m8_buf_finish(&whole);
    return st;
}

static m8_status generate_response(m8_call *c, m8_error *err) /* audio -> state, answer, audio */
{
    struct ball_app *b = m8_call_user(c);
    char *question = NULL;
    m8_cancel *cancel = begin(c);
    if (!cancel) return m8_fail(err, M8_E_NOMEM, "hearing");
    m8_toast(c, M8_INFO, "Transcribing Audio", &(m8_toast_opts){ .duration_s = 5 });
    m8_status st = hear(b, c, cancel, false, &question, err);
    if (!st) st = answer(b, c, question, cancel, err);
    m8_free(question);
    return end(c, cancel, st);
}

static m8_status ask_text(m8_call *c, m8_error *err) /* typed question -> state, answer, audio */
{
    struct ball_app *b = m8_call_user(c);
    const char *question = m8_in_text(c, 0);
    m8_cancel *cancel = begin(c);
    if (!cancel) return m8_fail(err, M8_E_NOMEM, "reading");
    m8_status st = answer(b, c, question, cancel, err);
    return end(c, cancel, st);
}

static m8_status listen(m8_call *c, m8_error *err) /* what was recorded so far -> nothing */
{
    struct ball_app *b = m8_call_user(c);
    char *question = NULL;
    m8_cancel *cancel = begin(c);
    if (!cancel) return m8_fail(err, M8_E_NOMEM, "listening");
    m8_status st = b->served->o->no_listen ? M8_OK : hear(b, c, cancel, true, &question, err);
    m8_free(question);
    return end(c, cancel, st);
}

/* ---- speaking */

struct speaking {
    struct ball_app *b;
    m8_pcm_sink out;
    double start_s;
    bool heard;
};

static m8_status take_sound(void *user, const float *samples, size_t n)
{
    struct speaking *s = user;
    m8_status st = s->out.push(s->out.user, samples, n);
    if (!s->heard) took(s->b, BALL_FIRST_SOUND, s->start_s);
    s->heard = true;
    return st;
}

static m8_status read_response(m8_call *c, m8_error *err) /* state -> answer, audio */
{
    struct ball_app *b = m8_call_user(c);
    const struct options *o = b->served->o;
    const char *text = m8_in_text(c, 0);
    if (!*text) return m8_raise(c, err, &(m8_toast_opts){ .title = "No answer" }, "There is no answer to read yet; ask first");
    m8_cancel *cancel = begin(c);
    if (!cancel) return m8_fail(err, M8_E_NOMEM, "speaking");
    m8_status st = served_wait(b->served, ROLE_TTS, cancel, err);
    if (!st) st = m8_out_text(c, 0, text);
    m8_model *tts = b->served->models[ROLE_TTS].model;
    m8_speak_opts opts = voice_speak_opts(o);
    opts.cancel = cancel;
    if (!st) {
        opts.seed = voice_seed(tts, o->seed);
        struct speaking s = { .b = b, .out = m8_out_stream(c, 1, m8_speak_rate(tts)), .start_s = m8_now_s() };
        st = m8_speak(tts, text, &opts, (m8_pcm_sink){ take_sound, &s }, err);
        if (!st) took(b, BALL_SPOKEN, s.start_s);
    }
    return end(c, cancel, st);
}

/* ---- the page */

static const char header[] = "<h1 style='text-align: center;'>Magic 8 Ball</h1><h3 style='text-align: center;'>Ask aloud, and hear what "
                             "must be</h3><p style='text-align: center;'>Powered by <a href='https://github.com/huggingface/parler-tts'>"
                             "Parler-TTS</a></p>";

static void build(struct ball_app *b, m8_block *page)
{
    m8_html(page, &(m8_show_opts){ .value = header });
    m8_block *group = m8_group(page, NULL), *row = m8_row(group, NULL);
    m8_block *speech = m8_audio(row, &(m8_file_opts){ .label = "Spoken Answer", .sources = "microphone", .type = "numpy", .streaming = true,
                                                      .autoplay = true });
    m8_block *text = m8_textbox(row, &(m8_textbox_opts){ .label = "Answer" });
    m8_block *held = m8_state(page, NULL, 0);
    m8_block *below = m8_row(page, NULL);
    m8_block *mic = m8_audio(below, &(m8_file_opts){ .label = "Speak your question", .sources = "microphone", .elem_id = "question" });
    m8_block *typed = m8_textbox(below, &(m8_textbox_opts){ .label = "Type your question", .visible = M8_NO, .elem_id = "typed" });
    m8_event *asked = m8_on(mic, M8_STOP_RECORDING, generate_response,
                            &(m8_event_opts){ .api_name = "generate_response", .in = { mic }, .params = { "audio" },
                                              .out = { held, text, speech }, .concurrency_limit = VISITORS, .user = b });
    m8_event_opts speak = { .api_name = "read_response", .in = { held }, .out = { text, speech }, .generator = true,
                            .gpu = { .lease = true, .duration_s = 60 }, .concurrency_limit = VISITORS, .user = b };
    m8_then(asked, read_response, &speak);
    m8_event *written = m8_on(typed, M8_SUBMIT, ask_text,
                              &(m8_event_opts){ .api_name = "ask_text", .api_visibility = M8_PRIVATE, .in = { typed },
                                                .out = { held, text, speech }, .concurrency_limit = VISITORS, .user = b });
    speak.api_name = "read_text";
    speak.api_visibility = M8_PRIVATE;
    m8_then(written, read_response, &speak);
    m8_on(mic, M8_PAUSE_RECORDING, listen,
          &(m8_event_opts){ .api_name = "listen", .api_visibility = M8_PRIVATE, .in = { mic }, .show_progress = "hidden",
                            .concurrency_limit = VISITORS, .trigger_mode = M8_MULTIPLE, .user = b });
}

m8_status ball_app_new(struct ball_app **out, m8_blocks **blocks, struct served *served, m8_error *err)
{
    struct ball_app *b = *out = m8_calloc(1, sizeof *b);
    if (!b) return m8_fail(err, M8_E_NOMEM, "the ball's page");
    b->served = served;
    size_t n = 0;
    for (const struct app_file *f = app_web; f->name && n < MOST_ASSETS; f++) { /* ball.js brings its modules itself */
        bool css = strstr(f->name, ".css") != NULL;
        b->assets[n++] = (m8_asset){ f->name, css ? "text/css" : "text/javascript", f->data, f->size, css || !strcmp(f->name, "ball.js") };
    }
    pthread_mutex_init(&b->lock, NULL);
    m8_status st = m8_blocks_new(blocks, &(m8_blocks_opts){ .title = "Magic 8 Ball", .description = "Ask aloud, and hear what must be",
                                                            .assets = b->assets, .n_assets = n }, err);
    if (!st) build(b, m8_blocks_root(*blocks));
    if (!st) st = m8_blocks_status(*blocks, err);
    return st;
}

void ball_app_free(struct ball_app *b)
{
    if (!b) return;
    pthread_mutex_destroy(&b->lock);
    m8_free(b);
}
