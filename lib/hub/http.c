/* One HTTP request over libcurl: no redirects, no cookies, no token to any origin but the endpoint's. The rest of the library
 * sees replies, never a handle. */
#include "hub_internal.h"
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct client {
    CURLM *multi;
    CURL *easy;
};

/* What the callbacks of one request share. */
struct flight {
    const struct m8__request *q;
    struct m8__reply *r;
    m8_error *err;
    CURL *easy;
    m8_status st;  /* why it was stopped from our side */
    bool head_done, answered;
};

static void start_curl(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

static m8_status open_client(struct m8_hub *hub, struct client **out, m8_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_curl);
    *out = hub->http;
    if (*out) return M8_OK;
    struct client *c = m8_calloc(1, sizeof *c);
    if (c) {
        c->multi = curl_multi_init();
        c->easy = curl_easy_init();
    }
    if (!c || !c->multi || !c->easy) {
        m8__http_close(c);
        return m8_fail(err, M8_E_NOMEM, "out of memory");
    }
    hub->http = *out = c;
    return M8_OK;
}

void m8__http_close(void *http)
{
    struct client *c = http;
    if (!c) return;
    if (c->easy) curl_easy_cleanup(c->easy);
    if (c->multi) curl_multi_cleanup(c->multi);
    m8_free(c);
}

static size_t on_header(char *data, size_t size, size_t n, void *user)
{
    struct flight *f = user;
    size_t all = size * n;
    f->answered = true;
    m8__reply_line(f->r, data, all, &f->st);
    if (f->st) {
        m8_fail(f->err, f->st, "out of memory");
        return 0;
    }
    return all;
}

static m8_status head_done(struct flight *f)
{
    long status = 0;
    if (f->head_done) return M8_OK;
    f->head_done = true;
    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
    f->r->status = (int)status;
    return f->q->start ? f->q->start(f->q->user, f->r, f->err) : M8_OK;
}

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
    struct flight *f = user;
    f->st = head_done(f);
    if (!f->st && f->q->body) f->st = f->q->body(f->q->user, data, size * n, f->err);
    return f->st ? 0 : size * n;
}

/* libcurl as a library does not look at these, other clients do. */
static const char *ca_file(void)
{
    static const char *const names[] = { "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *v = getenv(names[i]);
        if (v && *v && m8_is_file(v)) return v;
    }
    return NULL;
}

static m8_status add_header(struct curl_slist **list, const char *line, m8_error *err)
{
    struct curl_slist *more = line ? curl_slist_append(*list, line) : NULL;
    if (!more) return m8_fail(err, M8_E_NOMEM, "out of memory");
    *list = more;
    return M8_OK;
}

static m8_status set_up(struct m8_hub *hub, CURL *e, struct flight *f, struct curl_slist **headers, m8_error *err)
{
    const struct m8__request *q = f->q;
    double connect = hub->asked || hub->connect_s < 3 ? hub->connect_s : 3; /* the first time: is there a hub at all? */
    m8_status st = add_header(headers, "Accept-Encoding: identity", err);
    if (!st && q->token && hub->token && m8__same_origin(q->url, hub->endpoint)) {
        char *line = m8_sprintf("Authorization: Bearer %s", hub->token);
        st = add_header(headers, line, err);
        if (line) explicit_bzero(line, strlen(line));
        m8_free(line);
    }
    curl_easy_reset(e);
    CURLcode bad = curl_easy_setopt(e, CURLOPT_URL, q->url);
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e, CURLOPT_NOBODY, q->head ? 1L : 0L);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, *headers);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "magic8/" M8_VERSION);
    if (!bad) bad = curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* never wait for a resolver that hangs */
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(connect * 1000));
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)(hub->idle_s < 1 ? 1 : hub->idle_s));
    if (q->head) curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)((hub->idle_s < 10 ? hub->idle_s : 10) * 1000));
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, f);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, f);
    if (q->from > 0) { /* not RESUME_FROM, with which libcurl fails when the server sends all */
        char range[32];
        snprintf(range, sizeof range, "%lld-", (long long)q->from);
        if (!bad) bad = curl_easy_setopt(e, CURLOPT_RANGE, range);
    }
    if (ca_file() && !bad) bad = curl_easy_setopt(e, CURLOPT_CAINFO, ca_file());
    if (!st && bad) st = m8_fail(err, M8_E_NOMEM, "a request could not be made: %s", curl_easy_strerror(bad));
    return st;
}

static m8_status fly(struct client *c, struct flight *f, CURLcode *result, m8_error *err)
{
    int running = 1;
    double next = 0;
    *result = CURLE_OK;
    if (curl_multi_add_handle(c->multi, c->easy)) return m8_fail(err, M8_E_NOMEM, "out of memory");
    m8_status st = M8_OK;
    while (running && !st) {
        if (curl_multi_perform(c->multi, &running)) st = m8_fail(err, M8_E_NET, "the request could not be run");
        if (!st && running) curl_multi_poll(c->multi, NULL, 0, 100, NULL);
        if (!st && f->q->tick && m8_now_s() >= next) {
            st = f->q->tick(f->q->user);
            if (st) m8_fail(err, st, "%s", m8_status_text(st));
            next = m8_now_s() + 0.1;
        }
    }
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left));)
        if (m->msg == CURLMSG_DONE) *result = m->data.result;
    curl_multi_remove_handle(c->multi, c->easy);
    return st;
}

static m8_status net_fail(struct m8_hub *hub, const struct flight *f, CURLcode code, m8_error *err)
{
    m8_status st = code == CURLE_OPERATION_TIMEDOUT ? M8_E_TIMEOUT : code == CURLE_OUT_OF_MEMORY ? M8_E_NOMEM : M8_E_NET;
    bool ours = m8__same_origin(f->q->url, hub->endpoint);
    const char *who = ours ? "the hub" : "the file's server";
    if (f->answered) return m8_fail(err, st, "the connection to %s broke: %s", who, curl_easy_strerror(code));
    m8_error e = { 0 };
    m8_fail(&e, st, "%s can't be reached: %s", who, curl_easy_strerror(code));
    if (ours && !hub->asked && st != M8_E_NOMEM) hub->unreachable = e;
    if (err && !err->status) *err = e;
    return st;
}

m8_status m8__http(struct m8_hub *hub, const struct m8__request *q, struct m8__reply *r, m8_error *err)
{
    *r = (struct m8__reply){ .size = -1, .range_from = -1, .retry_after_s = -1 };
    if (hub->unreachable.status) {
        if (err && !err->status) *err = hub->unreachable;
        return hub->unreachable.status;
    }
    struct client *c = NULL;
    struct curl_slist *headers = NULL;
    struct flight f = { .q = q, .r = r, .err = err };
    CURLcode code = CURLE_OK;
    m8_status st = open_client(hub, &c, err);
    if (!st) f.easy = c->easy;
    if (!st) st = set_up(hub, c->easy, &f, &headers, err);
    if (!st) st = fly(c, &f, &code, err);
    if (!st) st = f.st;
    if (!st && code) st = net_fail(hub, &f, code, err);
    if (!st) st = head_done(&f);
    if (!st || f.answered) hub->asked = hub->asked || m8__same_origin(q->url, hub->endpoint);
    if (c) curl_easy_reset(c->easy);
    curl_slist_free_all(headers);
    return st;
}

static char *part(CURLU *u, CURLUPart which, unsigned flags)
{
    char *v = NULL;
    return curl_url_get(u, which, &v, flags) ? NULL : v;
}

bool m8__same_origin(const char *a, const char *b)
{
    static const CURLUPart which[] = { CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT };
    CURLU *u = curl_url(), *v = curl_url();
    bool same =
        u && v && !curl_url_set(u, CURLUPART_URL, a, CURLU_PATH_AS_IS) && !curl_url_set(v, CURLUPART_URL, b, CURLU_PATH_AS_IS);
    for (size_t i = 0; same && i < 3; i++) {
        char *x = part(u, which[i], CURLU_DEFAULT_PORT), *y = part(v, which[i], CURLU_DEFAULT_PORT);
        same = x && y && !strcasecmp(x, y);
        curl_free(x);
        curl_free(y);
    }
    curl_url_cleanup(u);
    curl_url_cleanup(v);
    return same;
}

m8_status m8__url_join(char **out, const char *base, const char *location, m8_error *err)
{
    *out = NULL;
    if (!strncasecmp(location, "https://", 8) || !strncasecmp(location, "http://", 7)) {
        *out = m8_strdup(location); /* signed: byte for byte */
    } else {
        CURLU *u = curl_url();
        char *v = NULL;
        if (u && !curl_url_set(u, CURLUPART_URL, base, CURLU_PATH_AS_IS) &&
            !curl_url_set(u, CURLUPART_URL, location, CURLU_PATH_AS_IS))
            v = part(u, CURLUPART_URL, 0);
        curl_url_cleanup(u);
        if (!v) return m8_fail(err, M8_E_NET, "a redirect that leads nowhere");
        *out = m8_strdup(v);
        curl_free(v);
    }
    if (!*out) return m8_fail(err, M8_E_NOMEM, "out of memory");
    bool https = !strncasecmp(*out, "https://", 8);
    if (https || (!strncasecmp(*out, "http://", 7) && !strncasecmp(base, "http://", 7))) return M8_OK;
    m8_free(*out);
    *out = NULL;
    return m8_fail(err, M8_E_NET, "a redirect from https to something else is not followed");
}

char *m8__url_escape(const char *s, bool keep_slash)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    m8_buf b = { 0 };
    for (; *s; s++) {
        if (strchr(plain, *s) || (keep_slash && *s == '/')) m8_buf_chr(&b, *s);
        else m8_buf_printf(&b, "%%%02X", (unsigned char)*s);
    }
    if (b.status) m8_buf_finish(&b);
    return b.data;
}
