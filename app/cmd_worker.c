/* magic8 worker: the process behind m8_open_worker and m8_audio_worker_open. */
#include "app.h"
#include "options.h"
#include <m8/audio.h>
#include <m8/infer.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOCKET = 3 };

int cmd_worker(const struct options *o)
{
    static const m8_service *const services[] = { &m8_model_service, &m8_audio_service, NULL };
    struct sockaddr at;
    if (getsockname(SOCKET, &at, &(socklen_t){ sizeof at })) return fail_usage("worker: started by magic8 itself, which talks to it on descriptor %d", SOCKET);
    _exit(m8_proc_serve(SOCKET, services) ? 1 : 0); /* what runs at an exit may ask for what is no longer allowed */
}
