/* Small things that all parts use: JSON in and out of requests, random names. */
#include "ui_internal.h"
#include <math.h>
#include <string.h>
#include <sys/random.h>

#define MOST_DEPTH 64

m8_status m8__dump(m8_buf *out, const json_t *value)
{
    if (!value) return out->status = out->status ? out->status : M8_E_NOMEM;
    m8__put_json(out, value);
    return out->status;
}

void m8__reply_json(m8_http_req *r, int status, json_t *value)
{
    m8_buf body = {0};
    if (m8__dump(&body, value)) m8_http_refuse(r, 500, "out of memory");
    else m8_http_reply_buf(r, status, "application/json", &body);
    json_decref(value);
    m8_buf_finish(&body);
}

void m8__reply_missing(m8_http_req *r, const char *where, const char *const *fields, size_t n, const json_t *input)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(list, json_pack("{s:s, s:[s,s], s:s, s:O?}", "type", "missing", "loc", where, fields[i], "msg",
                                              "Field required", "input", (json_t *)input));
    }
    m8__reply_json(r, 422, json_pack("{s:o}", "detail", list));
}

static void refuse_body(m8_http_req *r, const char *type, const char *why)
{
    m8__reply_json(r, 422, json_pack("{s:[{s:s, s:[s,i], s:s, s:{}, s:{s:s}}]}", "detail", "type", type, "loc", "body", 0, "msg",
                                     "JSON decode error", "input", "ctx", "error", why));
}

/* Nesting, counted before the parser recurses. */
static bool too_deep(const char *s, size_t n)
{
    int depth = 0;
    bool text = false;
    for (size_t i = 0; i < n; i++) {
        if (text) {
            if (s[i] == '\\') i++;
            else if (s[i] == '"') text = false;
        } else if (s[i] == '"') {
            text = true;
        } else if (s[i] == '[' || s[i] == '{') {
            if (++depth > MOST_DEPTH) return true;
        } else if (s[i] == ']' || s[i] == '}') {
            depth--;
        }
    }
    return false;
}

json_t *m8__body_object(m8_http_req *r)
{
    size_t n;
    const char *body = m8_http_body(r, &n), *type = m8_http_header(r, "content-type");
    if (!type || strncasecmp(type, "application/json", 16) || !strchr("; \t", type[16])) { /* the end of the text, too */
        refuse_body(r, "json_type", "the content-type must be application/json");
        return NULL;
    }
    if (too_deep(body, n)) {
        refuse_body(r, "json_invalid", "nested too deeply");
        return NULL;
    }
    json_error_t why;
    json_t *value = json_loadb(body, n, JSON_REJECT_DUPLICATES, &why);
    if (json_is_object(value)) return value;
    json_decref(value);
    refuse_body(r, "json_invalid", value ? "expected an object" : "this is not JSON");
    return NULL;
}

bool m8__random_hex(char *out, size_t n_digits)
{
    unsigned char bytes[64];
    size_t n = (n_digits + 1) / 2;
    if (n > sizeof bytes || getrandom(bytes, n, 0) != (ssize_t)n) return false;
    for (size_t i = 0; i < n_digits; i++) out[i] = "0123456789abcdef"[bytes[i / 2] >> (i % 2 ? 0 : 4) & 15];
    out[n_digits] = 0;
    return true;
}

json_t *m8__number(double x)
{
    if (!isfinite(x)) return json_null();
    if (x == floor(x) && fabs(x) < 9007199254740992.0) return json_integer((json_int_t)x);
    return json_real(x);
}
