/* interface.h - shared by interface.c (the page) and flag.c (what visitors flag). */
#ifndef M8_UI_INTERFACE_H
#define M8_UI_INTERFACE_H

#include "table.h"

struct m8__interface {
    m8_arena *arena; /* strings of the options */
    m8_interface_opts o;
    m8_block *in, *out; /* what holds the inputs and outputs until the page is made */
    pthread_mutex_t lock; /* of the flagged rows */
    bool locked;
    uint64_t flagged_bytes;
};

/* Append the inputs of the call to the folder's dataset1.csv. M8_E_IO, M8_E_LIMIT (the folder is full), M8_E_NOMEM. */
m8_status m8__flag_save(const m8_event *e, const m8_call *c, m8_error *err);

#endif
