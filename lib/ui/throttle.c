/* Guesses of a password, counted for whom they come from and for whom they name. The first few are free; after that each failure doubles the wait before
 * the next try, up to a minute. Counts fade: one failure is forgiven every ten minutes. The table has a fixed size; when it is full, who was quiet longest
 * is forgotten. */
#include "serve.h"
#include <math.h>
#include <openssl/sha.h>
#include <string.h>

enum { ENTRIES = 1024, FREE_TRIES = 5, LONGEST_S = 60, FORGIVEN_S = 600, KEY = 16 };

struct entry {
    unsigned char key[KEY];
    double failures, at, until; /* at: when failures was right; 0: unused */
};
struct m8__throttle {
    struct entry entry[ENTRIES];
};

struct m8__throttle *m8__throttle_new(void) { return m8_calloc(1, sizeof(struct m8__throttle)); }
void m8__throttle_free(struct m8__throttle *t) { m8_free(t); }

static void key_of(const char *who, unsigned char *key)
{
    unsigned char all[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)who, strlen(who), all);
    memcpy(key, all, KEY);
}

static struct entry *find(struct m8__throttle *t, const unsigned char *key)
{
    for (int i = 0; i < ENTRIES; i++)
        if (t->entry[i].at > 0 && !memcmp(t->entry[i].key, key, KEY)) return &t->entry[i];
    return NULL;
}

double m8__throttle_wait(struct m8__throttle *t, const char *who, double now)
{
    unsigned char key[KEY];
    key_of(who, key);
    const struct entry *e = find(t, key);
    return e && e->until > now ? e->until - now : 0;
}

void m8__throttle_failed(struct m8__throttle *t, const char *who, double now)
{
    unsigned char key[KEY];
    key_of(who, key);
    struct entry *e = find(t, key);
    if (!e) {
        e = &t->entry[0];
        for (int i = 1; i < ENTRIES; i++)
            if (t->entry[i].at < e->at) e = &t->entry[i];
        *e = (struct entry){ .at = now };
        memcpy(e->key, key, KEY);
    }
    e->failures = fmax(0, e->failures - (now - e->at) / FORGIVEN_S) + 1;
    e->at = now;
    if (e->failures > FREE_TRIES) e->until = now + fmin(LONGEST_S, pow(2, fmin(e->failures - FREE_TRIES, 20)));
}

void m8__throttle_forget(struct m8__throttle *t, const char *who)
{
    unsigned char key[KEY];
    key_of(who, key);
    struct entry *e = find(t, key);
    if (e) *e = (struct entry){ .at = 0 };
}
