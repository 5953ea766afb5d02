/* The verbs and options of the command line: one table (verbs.c), from which the parser (options.c), --help, the man page and the
 * shell completions (docs.c) are made. A new verb is a function cmd_NAME, its line here, and a row in verbs.c. */
#ifndef APP_OPTIONS_H
#define APP_OPTIONS_H

#include <m8/base.h>

/* An option that may be given several times. */
struct opt_list {
    const char *items[8];
    int n;
};

/* What the command line said. Borrowed from argv; valid until the program ends. A field is the table's default (see
 * options_default in verbs.c) unless its option was given. */
struct options {
    const struct verb *verb;
    char **args; /* [n_args] what is not an option */
    int n_args;

    /* every verb */
    int threads;          /* 0: one for each core */
    uint64_t seed;        /* 0: not given */
    bool json, verbose, help;

    struct opt_list models;    /* --model, each "ROLE=ID" or "ID"; ask options_model() */
    const char *output;   /* -o; NULL: not given, "-": standard output */
    bool f32;             /* everything in float32 */

    /* ask, chat */
    bool free_talk;
    const char *system;
    int max_tokens;       /* 0: the verb's own */
    double temperature;   /* negative: the verb's own */
    int top_k;            /* 0: off */
    double top_p, min_p;  /* 0: off */

    /* ask, listen */
    const char *language, *prompt;
    bool translate, words, timestamps;
    int beam;             /* 0: greedy */

    /* serve, ask, say */
    double speed;         /* 1: the voice's own */
    int speaker;
    const char *description; /* how to speak; NULL: the voice's own */
    double play_steps;       /* seconds of a chunk of sound; 0: as early as it is there */
    int bit_rate;         /* of MP3, bits a second; 0: 64000 */

    /* serve */
    const char *host, *auth, *auth_message, *tls_cert, *tls_key, *root_path, *access_log;
    int port;                                       /* 0: the first free one from 7860 on */
    struct opt_list names, origins, proxies;            /* --allow-host, --allow-origin, --trust-proxy */
    int max_size; /* waiting questions; 0: 100 */
    bool no_listen;

    /* bench */
    const char *against;
    int runs;             /* 0: the bench's own */
    int voices;           /* 0: 1 */
    int prompt_tokens;    /* 0: 512 */

    const char *type;     /* quantize, verify */
    int steps;            /* verify --type; 0: 500 */

    /* pull, models */
    const char *revision;
    bool offline;
    bool path;
};

/* One bit a verb: which verbs an option is for. */
enum {
    V_ASK = 1 << 0, V_LISTEN = 1 << 1, V_CHAT = 1 << 2, V_SAY = 1 << 3, V_PULL = 1 << 4, V_MODELS = 1 << 5,
    V_VERIFY = 1 << 6, V_BENCH = 1 << 7, V_DOCS = 1 << 8, V_SERVE = 1 << 9, V_QUANTIZE = 1 << 10, V_WORKER = 1 << 15,
    V_ALL = 0xFFFF,
    V_COMMON = V_ALL & ~(V_DOCS | V_WORKER), /* what a person may type */
};

struct verb {
    const char *name;
    unsigned bit;
    int (*run)(const struct options *o); /* returns the exit status: 0, 1 (a line on stderr says why), 2 (usage) */
    const char *args;                    /* as in the synopsis */
    int min_args, max_args;
    const char *summary;                 /* one line, no full stop */
    const char *text;                    /* for the man page: paragraphs between newlines */
    const char *words;                   /* what completion offers as the first argument, blanks between; "@file" is any file */
    bool hidden;
};

enum opt_type { OPT_FLAG, OPT_INT, OPT_REAL, OPT_SEED, OPT_TEXT, OPT_LIST };

struct opt {
    const char *name;
    char letter; /* 0: none */
    enum opt_type type;
    size_t at; /* offset of the field in struct options */
    unsigned verbs;
    const char *arg;  /* "N"; NULL for a flag. "FILE" completes files */
    const char *help; /* one line */
    double min, max;  /* of OPT_INT and OPT_REAL */
};

extern const struct verb verbs[];   /* ends with a row without a name */
extern const struct opt opt_rows[];     /* likewise */
extern const struct options options_default;

const struct verb *verb_find(const char *name); /* NULL: no such verb */

/* Parse argv behind the verb. Returns 0, or 2 after a line on stderr. argv is reordered: arguments first. */
int options_parse(struct options *o, const struct verb *verb, int argc, char **argv);

/* The --model that was given for a role ("asr", "llm", "tts"), or NULL. "ROLE=ID" names a role, a plain ID is for any. */
const char *options_model(const struct options *o, const char *role);

void help_program(void);                     /* magic8 --help, on stdout */
void help_verb(const struct verb *verb);     /* magic8 VERB --help */
int cmd_docs(const struct options *o);       /* magic8 docs man|bash|zsh|fish */
int cmd_worker(const struct options *o);     /* magic8 worker: started by magic8 itself */

int cmd_serve(const struct options *o);
int cmd_ask(const struct options *o);
int cmd_listen(const struct options *o);
int cmd_chat(const struct options *o);
int cmd_say(const struct options *o);
int cmd_pull(const struct options *o);
int cmd_models(const struct options *o);
int cmd_verify(const struct options *o);
int cmd_bench(const struct options *o);
int cmd_quantize(const struct options *o);

#endif
