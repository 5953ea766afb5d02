/* Handlers of text and numbers. */
#include "lab.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

m8_status nap(m8_call *c, double seconds)
{
    for (double end = m8_now_s() + seconds, left; (left = end - m8_now_s()) > 0;) {
        if (m8_cancelled(c)) return M8_E_CANCELLED;
        usleep((useconds_t)((left < 0.02 ? left : 0.02) * 1e6));
    }
    return m8_cancelled(c) ? M8_E_CANCELLED : M8_OK;
}

/* N as Python's int(): what is no number a loop could run to fails. */
static m8_status whole(const m8_call *c, int i, int *n, m8_error *err)
{
    double x = m8_in_number(c, i);
    if (m8_in_is_null(c, i) || x > 1e6) return m8_fail(err, M8_E_ARG, "not a number of steps");
    *n = x > 0 ? (int)x : 0;
    return M8_OK;
}

m8_status echo(m8_call *c, m8_error *err)
{
    return m8_in_is_null(c, 0) ? m8_out_null(c, 0) : m8_out_text(c, 0, m8_in_text(c, 0));
}
m8_status fast(m8_call *c, m8_error *err) { return m8_out_printf(c, 0, "fast %s", m8_in_text(c, 0)); }
m8_status chain2(m8_call *c, m8_error *err) { return m8_out_printf(c, 0, "%s!", m8_in_text(c, 0)); }
m8_status bad_success(m8_call *c, m8_error *err) { return m8_out_text(c, 0, "must not happen"); }
m8_status bad_failure(m8_call *c, m8_error *err) { return m8_out_text(c, 0, "recovered"); }
m8_status on_load(m8_call *c, m8_error *err) { return m8_out_text(c, 0, "loaded"); }
m8_status typed(m8_call *c, m8_error *err)
{
    return m8_out_printf(c, 0, "%lld:%s", (long long)m8_in_number(c, 0), m8_in_text(c, 1));
}

/* "0 ", "0 1 ", ... and {"i": i, "items": [0, ..., i]} */
m8_status count(m8_call *c, m8_error *err)
{
    m8_buf text = {0}, items = {0}, json = {0};
    int n = 0;
    m8_status st = whole(c, 0, &n, err);
    for (int i = 0; i < n && !st; i++) {
        st = nap(c, 0.15);
        if (st) break;
        m8_buf_printf(&text, "%d ", i);
        m8_buf_printf(&items, i ? ", %d" : "%d", i);
        m8_buf_clear(&json);
        m8_buf_printf(&json, "{\"i\": %d, \"items\": [%s]}", i, items.data ? items.data : "");
        st = json.status || text.status ? M8_E_NOMEM : m8_out_text(c, 0, text.data);
        if (!st) st = m8_out_json(c, 1, json.data);
        if (!st) st = m8_yield(c);
    }
    m8_buf_finish(&text);
    m8_buf_finish(&items);
    m8_buf_finish(&json);
    return st;
}

m8_status stepper(m8_call *c, m8_error *err)
{
    int n = 0;
    m8_status st = whole(c, 0, &n, err);
    for (int i = 0; i < n && !st; i++) {
        st = nap(c, 0.25);
        if (!st) st = m8_out_number(c, 0, i);
        if (!st) st = m8_yield(c);
    }
    return st;
}

m8_status progress(m8_call *c, m8_error *err)
{
    int n = 0;
    m8_status st = whole(c, 0, &n, err);
    if (st) return st;
    m8_progress(c, 0, "Starting");
    st = nap(c, 0.3);
    for (int i = 0; i < n && !st; i++) {
        m8_progress_steps(c, i, n, "steps", "Working");
        st = nap(c, 0.3);
    }
    return st ? st : m8_out_printf(c, 0, "done %d", n);
}

m8_status warn(m8_call *c, m8_error *err)
{
    m8_toast(c, M8_INFO, "an info", &(m8_toast_opts){ .duration_s = 5 });
    m8_toast(c, M8_WARNING, "a warning", &(m8_toast_opts){ .title = "Careful" });
    m8_toast(c, M8_SUCCESS, "a success", NULL);
    return echo(c, err);
}

m8_status fail(m8_call *c, m8_error *err)
{
    return m8_raise(c, err, &(m8_toast_opts){ .title = "Ball error", .duration_s = 7 }, "the ball is broken");
}

m8_status crash(m8_call *c, m8_error *err) { return m8_fail(err, M8_E_INTERNAL, "secret detail"); }

m8_status failgen(m8_call *c, m8_error *err)
{
    m8_status st = m8_out_printf(c, 0, "%s1", m8_in_text(c, 0));
    if (!st) st = m8_yield(c);
    if (!st) st = nap(c, 0.1);
    if (!st) st = m8_out_printf(c, 0, "%s12", m8_in_text(c, 0));
    if (!st) st = m8_yield(c);
    if (!st) st = nap(c, 0.1);
    return st ? st : m8_raise(c, err, NULL, "late failure");
}

m8_status slow(m8_call *c, m8_error *err)
{
    m8_status st = m8_in_is_null(c, 0) ? m8_fail(err, M8_E_ARG, "not a number of seconds") : nap(c, m8_in_number(c, 0));
    return st ? st : m8_out_text(c, 0, "slept");
}

m8_status counter(m8_call *c, m8_error *err)
{
    double n = m8_in_number(c, 0) + 1;
    m8_status st = m8_out_number(c, 0, n);
    return st ? st : m8_out_printf(c, 1, "%.0f", n);
}

m8_status batch(m8_call *c, m8_error *err)
{
    m8_status st = M8_OK;
    for (int k = 0; k < m8_batch_size(c) && !st; k++) {
        m8_call *one = m8_batch_at(c, k);
        char *text = m8_strdup(m8_in_text(one, 0));
        if (!text) return M8_E_NOMEM;
        for (char *s = text; *s; s++) *s = (char)toupper((unsigned char)*s);
        st = m8_out_printf(one, 0, "%s/%d", text, m8_batch_size(c));
        m8_free(text);
    }
    return st;
}

m8_status whoami(m8_call *c, m8_error *err)
{
    const char *lab = m8_call_header(c, "x-lab"), *session = m8_call_session(c), *q = m8_call_query(c, "q");
    return m8_out_printf(c, 0, "%s|%s|%s", lab ? lab : "None", *session ? session : "None", q ? q : "None");
}

/* A text as JSON. */
static void quoted(m8_buf *out, const char *s)
{
    m8_buf_chr(out, '"');
    for (; *s; s++) {
        if ((unsigned char)*s < ' ' || *s == '"' || *s == '\\') m8_buf_printf(out, "\\u%04x", (unsigned char)*s);
        else m8_buf_chr(out, *s);
    }
    m8_buf_chr(out, '"');
}

m8_status update(m8_call *c, m8_error *err)
{
    m8_buf props = {0};
    m8_buf_str(&props, "{\"value\": ");
    quoted(&props, m8_in_text(c, 0));
    m8_buf_str(&props, ", \"label\": \"Renamed\", \"interactive\": false}");
    m8_status st = props.status ? props.status : m8_out_update(c, 0, props.data);
    m8_buf_finish(&props);
    return st;
}
