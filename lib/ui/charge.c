/* Who has how much: bytes and files of a client ("u:NAME", "a:ADDRESS") or of a session ("s:HASH"). A charge that counts nothing is forgotten. */
#include "serve.h"
#include <string.h>

static struct m8__charge **bucket_of(struct m8__charges *c, const char *who)
{
    uint32_t hash = 2166136261u;
    for (const char *s = who; *s; s++) hash = (hash ^ (unsigned char)*s) * 16777619u;
    return &c->bucket[(hash ^ hash >> 16) % (sizeof c->bucket / sizeof *c->bucket)];
}

struct m8__charge *m8__charge_get(struct m8__charges *c, const char *who)
{
    struct m8__charge **at = bucket_of(c, who);
    for (struct m8__charge *x = *at; x; x = x->next)
        if (!strcmp(x->who, who)) return x;
    size_t n = strlen(who) + 1;
    struct m8__charge *x = m8_calloc(1, sizeof *x + n);
    if (!x) return NULL;
    memcpy(x->who, who, n);
    x->next = *at;
    return *at = x;
}

void m8__charge_drop(struct m8__charges *c, struct m8__charge *charge)
{
    if (!charge || charge->bytes || charge->files || charge->uploads) return;
    struct m8__charge **at = bucket_of(c, charge->who);
    while (*at != charge) at = &(*at)->next;
    *at = charge->next;
    m8_free(charge);
}
