/* lab.h - an app with one endpoint for each thing that an app can do, to try clients on and to copy from. */
#ifndef LAB_H
#define LAB_H

#include <m8/ui.h>
#include <pthread.h>

struct lab; /* what the handlers need */

/* app.c: each builds one page. The app is valid while lab is. */
m8_status lab_build(m8_blocks **out, struct lab *lab, m8_error *err);   /* "lab" */
m8_status iface_build(m8_blocks **out, struct lab *lab, m8_error *err); /* "iface": an Interface */
m8_status full_build(m8_blocks **out, struct lab *lab, m8_error *err);  /* "full": a queue of one place */

/* pictures.c: what the handlers give. */
struct lab {
    m8_buf red, blue;     /* PNG */
    pthread_mutex_t lock; /* PTHREAD_MUTEX_INITIALIZER */
    m8_buf tones[4];      /* a second of MP3 each, once lab_tones() was called */
};
m8_status lab_tones(struct lab *lab, m8_error *err);
m8_status lab_pictures(struct lab *lab, m8_error *err);
void lab_finish(struct lab *lab);

/* functions.c, files.c: the handlers, by the names of their endpoints. */
m8_status echo(m8_call *c, m8_error *err), count(m8_call *c, m8_error *err), stepper(m8_call *c, m8_error *err);
m8_status progress(m8_call *c, m8_error *err), warn(m8_call *c, m8_error *err), fail(m8_call *c, m8_error *err);
m8_status crash(m8_call *c, m8_error *err), failgen(m8_call *c, m8_error *err), slow(m8_call *c, m8_error *err);
m8_status counter(m8_call *c, m8_error *err), fast(m8_call *c, m8_error *err), batch(m8_call *c, m8_error *err);
m8_status whoami(m8_call *c, m8_error *err), update(m8_call *c, m8_error *err), chain2(m8_call *c, m8_error *err);
m8_status bad_success(m8_call *c, m8_error *err), bad_failure(m8_call *c, m8_error *err),
    on_load(m8_call *c, m8_error *err);
m8_status typed(m8_call *c, m8_error *err);
m8_status file_echo(m8_call *c, m8_error *err), tone(m8_call *c, m8_error *err), gallery_stream(m8_call *c, m8_error *err);
m8_status mic(m8_call *c, m8_error *err), draw(m8_call *c, m8_error *err);

m8_status nap(m8_call *c, double seconds); /* M8_E_CANCELLED as soon as nobody waits any more */

#endif
