/* The messages of a run, as its channel writes them: queue/data has one JSON object a message (section 6 of the protocol), call/NAME
 * has named events with the values alone, run/NAME has the value or the error as its body. Fields stand in Gradio's order. */
#include "run_internal.h"
#include <string.h>

static bool begin(m8_buf *out, const m8_call *c, const char *msg)
{
    if (!c->channel || c->channel->kind != M8__SESSION) return false;
    m8_buf_str(out, "data: {\"msg\":\"");
    m8_buf_str(out, msg);
    m8_buf_str(out, "\",\"event_id\":\"");
    m8_buf_str(out, c->id);
    m8_buf_chr(out, '"');
    return true;
}
static void end(m8_buf *out) { m8_buf_str(out, "}\n\n"); }

static void put_clean(m8_buf *out, const char *s) /* NULL: null */
{
    json_t *text = s ? m8__text_value(s, strlen(s)) : NULL;
    if (s && !text && !out->status) out->status = M8_E_NOMEM;
    m8__put_json(out, text);
    json_decref(text);
}

static void put_time(m8_buf *out, double s)
{
    if (s < 0) m8_buf_str(out, "null");
    else m8__put_seconds(out, s);
}

void m8__say_estimation(m8_buf *out, const m8_call *c, int rank, int size, double eta)
{
    if (!begin(out, c, "estimation")) return;
    m8_buf_printf(out, ",\"rank\":%d,\"queue_size\":%d,\"rank_eta\":", rank, size);
    put_time(out, eta);
    end(out);
}

void m8__say_starts(m8_buf *out, const m8_call *c)
{
    if (!begin(out, c, "process_starts")) return;
    m8_buf_str(out, ",\"eta\":");
    put_time(out, m8__mean(c->event->plan));
    end(out);
}

void m8__say_progress(m8_buf *out, const m8_call *c, const double *fraction, const int64_t *index, const int64_t *length, const char *unit,
                      const char *desc)
{
    if (!begin(out, c, "progress")) return;
    m8_buf_str(out, ",\"progress_data\":[{\"index\":");
    if (index) m8_buf_printf(out, "%lld", (long long)*index);
    else m8_buf_str(out, "null");
    m8_buf_str(out, ",\"length\":");
    if (length) m8_buf_printf(out, "%lld", (long long)*length);
    else m8_buf_str(out, "null");
    m8_buf_str(out, ",\"unit\":");
    put_clean(out, unit ? unit : "steps");
    m8_buf_str(out, ",\"progress\":");
    if (fraction) m8__put_real(out, *fraction);
    else m8_buf_str(out, "null");
    m8_buf_str(out, ",\"desc\":");
    put_clean(out, desc);
    m8_buf_str(out, "}]");
    end(out);
}

void m8__say_log(m8_buf *out, const m8_call *c, const char *level, const char *text, const m8_toast_opts *opts, const char *title)
{
    if (!begin(out, c, "log")) return;
    m8_buf_str(out, ",\"log\":");
    put_clean(out, text ? text : "");
    m8_buf_printf(out, ",\"level\":\"%s\",\"duration\":", level);
    double duration = opts && opts->duration_s != 0 ? opts->duration_s : 10;
    if (duration > 0) m8__put_real(out, duration);
    else m8_buf_str(out, "null");
    m8_buf_printf(out, ",\"visible\":%s,\"title\":", opts && opts->hidden ? "false" : "true");
    put_clean(out, opts && opts->title ? opts->title : title);
    end(out);
}

void m8__say_data(m8_buf *out, m8_call *c, bool diff)
{
    const struct m8__plan *p = c->event->plan;
    m8_buf_chr(out, '[');
    for (size_t i = 0; i < c->event->n_out; i++) {
        const struct m8__out *o = &c->out[i];
        if (i) m8_buf_chr(out, ',');
        if (p->state_out[i]) {
            m8_buf_str(out, diff ? "[]" : "null");
        } else if (!diff) {
            if (o->value) m8__put_json(out, o->value);
            else m8_buf_str(out, "{\"__type__\":\"update\"}"); /* gr.skip(): it stays as it is */
        } else if (!o->value || o->said) {
            m8__diff(out, o->said, o->value);
        } else { /* what was skipped so far */
            m8_buf_str(out, "[[\"replace\",[],");
            m8__put_json(out, o->value);
            m8_buf_str(out, "]]");
        }
    }
    m8_buf_chr(out, ']');
}

static void put_output(m8_buf *out, const m8_call *c, const m8_buf *data, bool last, double took, double mean, const char *changed)
{
    m8_buf_str(out, "{\"data\":");
    m8_buf_add(out, data->data, data->len);
    m8_buf_str(out, c->n_batch || c->follows ? ",\"is_generating\":null,\"duration\":"
                    : last && !c->event->plan->stream_in ? ",\"is_generating\":false,\"duration\":"
                                                              : ",\"is_generating\":true,\"duration\":");
    m8__put_seconds(out, took);
    m8_buf_str(out, ",\"average_duration\":");
    put_time(out, mean);
    m8_buf_str(out, ",\"render_config\":null,\"changed_state_ids\":[");
    m8_buf_str(out, changed);
    m8_buf_str(out, "],\"used_cache\":null}");
}

void m8__write_value(m8_buf *out, m8_call *c, const m8_buf *data, bool last, double took, double mean, const char *changed)
{
    if (!c->channel) return;
    if (c->channel->kind == M8__DIRECT) {
        put_output(out, c, data, last, took, mean, changed);
        return;
    }
    if (c->channel->kind == M8__CALL) {
        m8_buf_str(out, last ? "event: complete\ndata: " : "event: generating\ndata: ");
        m8_buf_add(out, data->data, data->len);
        m8_buf_str(out, "\n\n");
        return;
    }
    const m8_event *e = c->event;
    begin(out, c, last ? "process_completed" : e->plan->stream_in ? "process_streaming" : "process_generating");
    m8_buf_str(out, ",\"output\":");
    put_output(out, c, data, last, took, mean, changed);
    m8_buf_str(out, ",\"success\":true,");
    if (last) {
        m8_buf_str(out, "\"title\":null,\"used_cache\":null,\"cache_duration\":");
        m8__put_seconds(out, took);
        m8_buf_str(out, ",\"avg_time\":");
        put_time(out, mean);
    } else {
        m8_buf_str(out, "\"time_limit\":");
        double left = e->opts.time_limit_s - c->spent_s;
        if (!e->plan->stream_in || e->opts.time_limit_s <= 0) m8_buf_str(out, "null");
        else m8__put_seconds(out, left > 0 ? left : 0);
    }
    end(out);
}

void m8__say_error(m8_buf *out, m8_call *c, m8_status st, const m8_error *err)
{
    if (!c->channel) return;
    bool user = st == M8_E_USER;
    double duration = c->duration_s;
    const char *title = c->title ? c->title : "Error", *text = c->said_no ? c->said_no : m8_error_text(err);
    m8_buf what = {0};
    m8_buf_str(&what, "{\"error\":");
    if (user) {
        put_clean(&what, text);
        m8_buf_str(&what, ",\"duration\":");
        json_t *number = duration < 0 ? json_null() : m8__number(duration ? duration : 10);
        m8__put_json(&what, number);
        json_decref(number);
        m8_buf_printf(&what, ",\"visible\":%s,\"title\":", c->hidden ? "false" : "true");
        put_clean(&what, title);
    } else if (c->app->launch.show_error) {
        put_clean(&what, text);
        m8_buf_str(&what, ",\"visible\":true");
    } else {
        m8_buf_str(&what, "null");
    }
    m8_buf_chr(&what, '}');
    if (what.status && !out->status) out->status = what.status;

    if (c->channel->kind == M8__CALL) m8_buf_str(out, "event: error\ndata: ");
    if (begin(out, c, "process_completed")) m8_buf_str(out, ",\"output\":");
    m8_buf_add(out, what.data, what.len);
    m8_buf_finish(&what);
    if (c->channel->kind == M8__CALL) m8_buf_str(out, "\n\n");
    if (c->channel->kind != M8__SESSION) return;
    m8_buf_str(out, ",\"success\":false,\"title\":");
    /* Gradio's generators lose the title on the way, and what it takes for the duration of the run is that of the toast. */
    put_clean(out, c->n_said ? NULL : user ? title : "Error");
    m8_buf_str(out, ",\"used_cache\":null,\"cache_duration\":");
    if (c->n_said && user && duration >= 0) m8__put_real(out, duration ? duration : 10);
    else m8_buf_str(out, "null");
    m8_buf_str(out, ",\"avg_time\":null");
    end(out);
}

void m8__say_cancelled(m8_buf *out, const m8_call *c)
{
    if (begin(out, c, "process_completed")) {
        m8_buf_str(out, ",\"output\":{},\"success\":true,\"title\":null,\"used_cache\":null,\"cache_duration\":null,\"avg_time\":null");
        end(out);
    } else if (c->channel && c->channel->kind == M8__CALL) {
        m8_buf_str(out, "event: complete\ndata: null\n\n");
    } else if (c->channel) {
        m8_buf_str(out, "{\"error\":null}");
    }
}

void m8__say_lost(m8_buf *out, const char *message, bool unknown)
{
    m8_buf_str(out, "data: {\"msg\":\"unexpected_error\",\"event_id\":null,\"message\":");
    m8__put_text(out, message, strlen(message));
    m8_buf_printf(out, ",\"session_not_found\":%s,\"success\":false}\n\n", unknown ? "true" : "false");
}
