/* The list of model families. */
#include "model.h"

const struct m8__family *const m8__families[] = {
    &m8__llama,
    &m8__parler,
    &m8__dac,
    &m8__t5,
    &m8__vits,
    &m8__whisper,
    NULL,
};
