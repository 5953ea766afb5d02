/* The handle: where the cache, the endpoint and the token are, by the environment variables of the hub's own client. */
#include "hub_internal.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *env(const char *name)
{
    const char *v = getenv(name);
    return v && *v ? v : NULL;
}

static bool env_is_on(const char *name)
{
    const char *v = env(name);
    return v && (!strcmp(v, "1") || !strcasecmp(v, "true") || !strcasecmp(v, "yes") || !strcasecmp(v, "on"));
}

/* A number from 0 to most, else what is usual. */
static double env_number(const char *name, double most, double usual)
{
    const char *v = env(name);
    char *end = NULL;
    double x = v ? strtod(v, &end) : usual;
    return v && end && !*end && x >= 0 && x <= most ? x : usual;
}

/* "~/x" is $HOME/x; new, NULL: no memory. */
static char *expand(const char *path)
{
    const char *home = env("HOME");
    if (path[0] == '~' && (path[1] == '/' || !path[1]) && home) return m8_sprintf("%s%s", home, path + 1);
    return m8_strdup(path);
}

static char *hub_home(void)
{
    if (env("HF_HOME")) return expand(env("HF_HOME"));
    if (env("XDG_CACHE_HOME")) return m8_join_path(env("XDG_CACHE_HOME"), "huggingface");
    return expand("~/.cache/huggingface");
}

static m8_status find_cache(m8_hub *hub, const m8_hub_opts *o, const char *home)
{
    const char *said = o->cache ? o->cache : env("HF_HUB_CACHE");
    if (!said) said = env("HUGGINGFACE_HUB_CACHE");
    hub->cache = said ? expand(said) : m8_join_path(home, "hub");
    return hub->cache ? M8_OK : M8_E_NOMEM;
}

/* Blanks and line ends around it go; what can't be a header's value is no token. */
static m8_status take_token(m8_hub *hub, const char *s, size_t n)
{
    while (n && strchr(" \t\r\n", s[n - 1])) n--;
    while (n && strchr(" \t\r\n", *s)) s++, n--;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] <= 0x20 || (unsigned char)s[i] >= 0x7F) return M8_OK;
    if (!n) return M8_OK;
    hub->token = m8_strndup(s, n);
    return hub->token ? M8_OK : M8_E_NOMEM;
}

static m8_status find_token(m8_hub *hub, const m8_hub_opts *o, const char *home)
{
    const char *said = o->token;
    if (!said && env_is_on("HF_HUB_DISABLE_IMPLICIT_TOKEN")) return M8_OK;
    if (!said) said = env("HF_TOKEN");
    if (!said) said = env("HUGGING_FACE_HUB_TOKEN");
    if (said) return take_token(hub, said, strlen(said));
    char *path = env("HF_TOKEN_PATH") ? expand(env("HF_TOKEN_PATH")) : m8_join_path(home, "token");
    if (!path) return M8_E_NOMEM;
    m8_buf buf = { .limit = 4096 };
    m8_status st = M8_OK;
    if (m8_is_file(path)) st = m8_read_file(&buf, path, NULL);
    if (st == M8_OK && buf.len) st = take_token(hub, buf.data, buf.len);
    m8_buf_finish(&buf);
    m8_free(path);
    return st == M8_E_NOMEM ? st : M8_OK; /* a file that can't be read is no token */
}

static m8_status find_endpoint(m8_hub *hub, const m8_hub_opts *o, m8_error *err)
{
    const char *s = o->endpoint ? o->endpoint : env("HF_ENDPOINT");
    if (!s) s = "https://huggingface.co";
    size_t n = strlen(s);
    while (n && s[n - 1] == '/') n--;
    if (strncmp(s, "https://", 8) && strncmp(s, "http://", 7))
        return m8_fail(err, M8_E_ARG, "HF_ENDPOINT: expected a URL with http or https");
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] <= 0x20 || s[i] == 0x7F || s[i] == '?' || s[i] == '#' || s[i] == '@')
            return m8_fail(err, M8_E_ARG, "HF_ENDPOINT: not a plain URL");
    hub->endpoint = m8_strndup(s, n);
    return hub->endpoint ? M8_OK : m8_fail(err, M8_E_NOMEM, "out of memory");
}

static m8_status read_catalog(m8_hub *hub, const m8_hub_opts *o, m8_error *err)
{
    const char *path = o->catalog ? o->catalog : env("MAGIC8_CATALOG");
    if (!path) return m8__catalog_read(&hub->catalog, m8__catalog_data, m8__catalog_size, err);
    m8_buf buf = { .limit = 1 << 20 };
    m8_status st = m8_read_file(&buf, path, err);
    if (!st) st = m8__catalog_read(&hub->catalog, buf.data ? buf.data : "", buf.len, err);
    m8_buf_finish(&buf);
    return st ? m8_wrap(err, st, "%s", path) : M8_OK;
}

m8_status m8_hub_open(m8_hub **out, const m8_hub_opts *opts, m8_error *err)
{
    static const m8_hub_opts none = { 0 };
    const m8_hub_opts *o = opts ? opts : &none;
    *out = NULL;
    m8_hub *hub = m8_calloc(1, sizeof *hub);
    char *home = hub_home();
    m8_status st = hub && home ? M8_OK : M8_E_NOMEM;
    if (!st) {
        hub->offline = o->offline || env_is_on("HF_HUB_OFFLINE") || env_is_on("MAGIC8_OFFLINE");
        hub->retries = o->retries > 0 ? o->retries : o->retries < 0 ? 0 : (int)env_number("MAGIC8_RETRIES", 20, 5);
        hub->retry_s = o->retry_s > 0 ? o->retry_s : 1;
        hub->connect_s = o->connect_s > 0 ? o->connect_s : 10;
        hub->idle_s = o->idle_s > 0 ? o->idle_s : env_number("HF_HUB_DOWNLOAD_TIMEOUT", 3600, 30);
        st = find_cache(hub, o, home);
    }
    if (!st) st = find_token(hub, o, home);
    if (st) m8_fail(err, st, "out of memory");
    if (!st) st = find_endpoint(hub, o, err);
    if (!st) st = read_catalog(hub, o, err);
    m8_free(home);
    if (st) m8_hub_close(hub);
    else *out = hub;
    return st;
}

void m8_hub_close(m8_hub *hub)
{
    if (!hub) return;
    m8__http_close(hub->http);
    m8__catalog_finish(&hub->catalog);
    m8_free(hub->endpoint);
    m8_free(hub->cache);
    if (hub->token) explicit_bzero(hub->token, strlen(hub->token));
    m8_free(hub->token);
    m8_free(hub);
}

const char *m8_hub_cache(const m8_hub *hub) { return hub->cache; }

size_t m8_hub_n_models(const m8_hub *hub) { return hub->catalog.n_models; }

const m8_hub_model *m8_hub_model_at(const m8_hub *hub, size_t i)
{
    return i < hub->catalog.n_models ? &hub->catalog.models[i].pub : NULL;
}

const m8_hub_model *m8_hub_find(const m8_hub *hub, const char *id)
{
    const struct m8__model *m = m8__catalog_find(&hub->catalog, id);
    return m ? &m->pub : NULL;
}

const m8_hub_model *m8_hub_set_at(const m8_hub *hub, const char *set, size_t i)
{
    const struct m8__set *s = m8__catalog_set(&hub->catalog, set);
    return s && i < s->n_models ? &s->models[i]->pub : NULL;
}

void m8__note(const struct m8_hub *hub, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    m8_log(M8_LOG_INFO, "%s", text);
    if (hub->pull && hub->pull->note) hub->pull->note(hub->pull->user, text);
}

m8_status m8__progress(const struct m8_hub *hub, const m8_hub_progress *p)
{
    return hub->pull && hub->pull->progress ? hub->pull->progress(hub->pull->user, p) : M8_OK;
}

m8_status m8__pause(const struct m8_hub *hub, double seconds, const m8_hub_progress *p)
{
    double end = m8_now_s() + seconds;
    for (;;) {
        m8_status st = m8__progress(hub, p);
        double left = fmin(end - m8_now_s(), 0.1);
        if (st || left <= 0) return st;
        nanosleep(&(struct timespec){ .tv_nsec = (long)(left * 1e9) }, NULL);
    }
}
