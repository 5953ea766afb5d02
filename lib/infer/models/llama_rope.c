/* Longer contexts by slower turns, as Llama 3.1 has them: fast turns (many of them within the context that it was trained with) stay,
 * slow ones become slower by `factor`, those between by something between. source: transformers, _compute_llama3_parameters. */
#include "llama.h"
#include <math.h>
#include <string.h>

static bool real(double *out, const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    *out = json_number_value(v);
    return json_is_number(v) && isfinite(*out) && *out > 0;
}

bool m8__llama_rope_factors(float *factors, int dh, double theta, const json_t *scaling)
{
    const json_t *type = json_object_get(scaling, "rope_type");
    const char *name = json_string_value(type ? type : json_object_get(scaling, "type"));
    double factor, low, high, trained;
    for (int i = 0; i < dh / 2; i++) factors[i] = 1;
    if (name && !strcmp(name, "default")) return true;
    if (!name || strcmp(name, "llama3") || !real(&factor, scaling, "factor") || !real(&low, scaling, "low_freq_factor") ||
        !real(&high, scaling, "high_freq_factor") || !real(&trained, scaling, "original_max_position_embeddings") || high <= low)
        return false;
    for (int i = 0; i < dh / 2; i++) {
        double turns = trained / (2 * M_PI * pow(theta, 2.0 * i / dh)); /* within the trained context */
        double kept = (turns - low) / (high - low);
        factors[i] = (float)(turns > high ? 1 : turns < low ? factor : 1 / ((1 - kept) / factor + kept));
    }
    return true;
}
