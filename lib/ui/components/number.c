/* Number, Slider, Timer. On the wire: a number; null where a Number is empty. */
#include "components.h"
#include <math.h>

static bool bound(const m8_block *b, const char *key, double *x)
{
    const json_t *v = m8__prop(b, key);
    *x = json_number_value(v);
    return json_is_number(v);
}

static m8_status within_bounds(const m8_block *b, double x, m8_error *err)
{
    double least, most;
    if (bound(b, "minimum", &least) && x < least)
        return m8_fail(err, M8_E_USER, "%.80s: %g is less than the minimum, %g", m8__shown_name(b), x, least);
    if (bound(b, "maximum", &most) && x > most)
        return m8_fail(err, M8_E_USER, "%.80s: %g is more than the maximum, %g", m8__shown_name(b), x, most);
    return M8_OK;
}

/* Digits behind the point, as the property says; null keeps all. */
static m8_status round_value(const m8_block *b, json_t **value, m8_error *err)
{
    const json_t *precision = m8__prop(b, "precision");
    if (!json_is_integer(precision) || !json_is_number(*value)) return M8_OK;
    double by = pow(10, (double)json_integer_value(precision)), x = json_number_value(*value) * by;
    return isfinite(x) ? m8__swap(value, m8__number(nearbyint(x) / by), err) : M8_OK;
}

static m8_status number_in(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err)
{
    if (json_is_null(*value)) return M8_OK;
    if (!json_is_number(*value)) return m8__wrong_type(b, "a number", err);
    m8_status st = round_value(b, value, err);
    return st ? st : within_bounds(b, json_number_value(*value), err);
}

static m8_status slider_in(const m8_block *b, json_t **value, struct m8__session *s, m8_error *err)
{
    return json_is_null(*value) ? m8__wrong_type(b, "a number", err) : number_in(b, value, s, err);
}

static m8_status number_out(const m8_block *b, json_t **value, m8_error *err) { return round_value(b, value, err); }

static m8_status slider_out(const m8_block *b, json_t **value, m8_error *err)
{
    return json_is_null(*value) ? m8__swap(value, json_incref((json_t *)m8__prop(b, "minimum")), err)
                                : round_value(b, value, err);
}

static json_t *slider_info(const m8_block *b, bool as_output)
{
    m8_buf text = {0};
    m8_buf_str(&text, "numeric value between ");
    m8__dump(&text, m8__prop(b, "minimum"));
    m8_buf_str(&text, " and ");
    m8__dump(&text, m8__prop(b, "maximum"));
    json_t *info = text.status ? NULL : json_pack("{s:s, s:s}", "type", "number", "description", text.data);
    m8_buf_finish(&text);
    return info;
}

static json_t *slider_example(const m8_block *b) { return json_incref((json_t *)m8__prop(b, "minimum")); }

const struct m8__component m8__number_type = {
    .type = "number", .form_field = true, .preprocess = number_in, .postprocess = number_out
};
const struct m8__component m8__slider = {
    .type = "slider", .form_field = true, .preprocess = slider_in, .postprocess = slider_out, .api_info = slider_info,
    .example = slider_example,
};
const struct m8__component m8__timer = { .type = "timer", .preprocess = number_in };

static void number_props(m8_block *b, const m8_number_opts *o)
{
    if (o->has_value) m8__props_set(b, "value", m8__number(o->value));
    if (o->has_minimum) m8__props_set(b, "minimum", m8__number(o->minimum));
    if (o->has_maximum) m8__props_set(b, "maximum", m8__number(o->maximum));
    if (o->step) m8__props_set(b, "step", m8__number(o->step));
    if (o->precision) m8__props_set(b, "precision", json_integer(o->precision - 1));
    m8__props_common(b, M8__COMMON(o));
}

m8_block *m8_number(m8_block *parent, const m8_number_opts *opts)
{
    static const m8_number_opts none;
    const m8_number_opts *o = opts ? opts : &none;
    m8_block *b = m8__block_new(parent, &m8__number_type);
    number_props(b, o);
    m8__props_text(b, "placeholder", o->placeholder);
    m8__props_extra(b, o->props);
    return b;
}

m8_block *m8_slider(m8_block *parent, const m8_number_opts *opts)
{
    static const m8_number_opts none;
    const m8_number_opts *o = opts ? opts : &none;
    m8_block *b = m8__block_new(parent, &m8__slider);
    double least = o->has_minimum ? o->minimum : 0, most = o->has_maximum ? o->maximum : 100;
    if (b && !(isfinite(least) && isfinite(most) && least < most)) {
        m8__app_fail(b->app, M8_E_ARG, "a slider from %g to %g", least, most);
        return NULL;
    }
    number_props(b, o);
    if (!o->has_value) m8__props_set(b, "value", m8__number(least));
    /* Gradio's: a hundredth of the range, down to a power of ten */
    if (!o->step) m8__props_set(b, "step", m8__number(pow(10, floor(log10(most - least) - 2))));
    m8__props_extra(b, o->props);
    return b;
}

m8_block *m8_timer(m8_block *parent, double seconds, bool inactive)
{
    m8_block *b = m8__block_new(parent, &m8__timer);
    m8__props_set(b, "value", m8__number(seconds));
    if (inactive) m8__props_set(b, "active", json_false());
    return b;
}
