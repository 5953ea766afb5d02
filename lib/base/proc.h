/* proc.h - the client's side of a worker: proc.c (calls), minder.c (the thread that starts it, reads from it and buries it). */
#ifndef M8_PROC_H
#define M8_PROC_H

#include "frame.h"
#include <pthread.h>

struct piece { /* what a call has pushed, not yet handed on */
    struct piece *next;
    size_t n;
    _Alignas(16) char data[];
};

struct call { /* on the stack of m8_proc_call */
    struct call *next;
    m8_proc *p;
    uint32_t id;
    int generation;
    pthread_cond_t news;
    struct piece *first, **last;
    size_t held;        /* bytes of them, and of those being handed on */
    size_t taken;       /* bytes handed on since the last TAKEN */
    m8_buf *result;
    m8_cancel *cancel;
    bool woken;         /* cancel was set */
    bool lost;          /* a piece could not be kept: no memory */
    bool ended;
    m8_status status;
    m8_error error;
};

struct m8_proc {
    char *what, *service;
    char **argv;
    m8_buf hello;
    m8_status (*ready)(void *user, m8_fields *answer, m8_error *err);
    void *ready_user;
    m8_proc_opts opts;
    pthread_mutex_t lock;
    pthread_cond_t news;   /* state or closing changed */
    pthread_mutex_t sends; /* taken before lock where both are */
    unsigned long minder;
    bool minding, closing;
    m8_proc_state state;
    m8_error why;          /* of FAILED, DIED */
    int tries;             /* starts since the first, failed or not */
    int fd;                /* -1: none; written under lock and sends */
    pid_t pid;             /* 0: none, or being waited for */
    int generation;        /* of the process: how many were started */
    struct call *calls;
    int n_calls;
    uint32_t last_id;
};

void *m8__minder(void *proc);
/* Under the lock: the process is of no more use; its end is what the minder waits for. */
void m8__proc_kill(m8_proc *p, int generation);
/* What comes from the process, until it ends or breaks the rules. Not the minder's alone: a test feeds it. */
m8_status m8__proc_read(m8_proc *p, struct frame_reader *r, m8_error *err);

#endif
