#!/usr/bin/env python3
"""gradio_components.py RECORDED > lib/ui/components/defaults.json

Makes the table of what Gradio 6.31.0 says of its components from the recording of a page that has one of each
(components.json): default properties, schema, example, events. Added here: the properties that the recording leaves out
because their default is None, at their place among the parameters of the class, as null (config.c leaves nulls out; the
rows of examples send them); and gr.api's values, of which a page has none by itself. Descriptions that are sentences of
Gradio's are replaced by short ones of ours."""
import json
import sys

FIELD = "label info show_label container scale min_width interactive visible elem_id elem_classes key preserved_by_key"
SHOWN = "label show_label container scale min_width visible elem_id elem_classes key preserved_by_key"
PARAMETERS = {
    "textbox": "value type lines max_lines placeholder label info show_label container scale min_width interactive visible elem_id autofocus "
               "autoscroll elem_classes key preserved_by_key text_align rtl buttons max_length submit_btn stop_btn html_attributes",
    "number": f"value {FIELD.replace('label info', 'label placeholder info')} buttons precision minimum maximum step",
    "slider": f"minimum maximum value step precision {FIELD}",
    "checkbox": f"value {FIELD} buttons",
    "checkboxgroup": f"choices value type {FIELD.replace('show_label', 'show_label show_select_all')} buttons",
    "radio": f"choices value type {FIELD} rtl buttons",
    "dropdown": f"choices value type multiselect allow_custom_value max_choices num_choices_shown filterable {FIELD} buttons",
    "button": "value variant size icon link link_target visible interactive elem_id elem_classes key preserved_by_key scale min_width",
    "downloadbutton": "label value variant visible size icon scale min_width interactive elem_id elem_classes key preserved_by_key",
    "uploadbutton": "label value variant visible size icon scale min_width interactive elem_id elem_classes key preserved_by_key type "
                    "file_count file_types",
    "audio": "value sources type label show_label container scale min_width interactive visible streaming elem_id elem_classes key "
             "preserved_by_key format autoplay editable buttons waveform_options loop recording subtitles playback_position",
    "image": "value format height width image_mode sources type label show_label buttons container scale min_width interactive visible "
             "streaming elem_id elem_classes key preserved_by_key webcam_options placeholder watermark alt_text",
    "video": "value format sources height width label show_label container scale min_width interactive visible elem_id elem_classes key "
             "preserved_by_key webcam_options include_audio autoplay buttons loop streaming watermark subtitles playback_position",
    "file": "value file_count file_types type label show_label container scale min_width height interactive visible elem_id elem_classes "
            "key preserved_by_key allow_reordering buttons",
    "gallery": f"value format file_types {SHOWN} columns rows height allow_preview preview selected_index object_fit buttons interactive "
               "type fit_columns sources",
    "json": f"value {SHOWN} open show_indices height max_height min_height buttons",
    "markdown": "value label show_label scale min_width rtl latex_delimiters visible elem_id elem_classes key preserved_by_key sanitize_html "
                "line_breaks header_links height max_height min_height buttons container padding",
    "html": "value label html_template css_template js_on_load apply_default_css show_label scale min_width visible elem_id elem_classes key "
            "preserved_by_key min_height max_height container padding autoscroll buttons head props",
    "label": f"value num_top_classes {SHOWN} color show_heading buttons",
    "highlightedtext": "value color_map show_legend show_inline_category combine_adjacent adjacent_separator show_whitespaces "
                       f"{SHOWN} interactive rtl buttons",
    "code": "value language lines max_lines label interactive show_label container scale min_width visible elem_id elem_classes key "
            "preserved_by_key wrap_lines show_line_numbers autocomplete buttons",
    "dataframe": "value headers row_count row_limits col_count column_count column_limits datatype type latex_delimiters label show_label "
                 "max_height scale min_width interactive visible elem_id elem_classes key preserved_by_key wrap line_breaks column_widths "
                 "buttons show_row_numbers max_chars show_search pinned_columns static_columns",
    "chatbot": "value label show_label container scale min_width visible elem_id elem_classes autoscroll key preserved_by_key height "
               "resizable max_height min_height editable latex_delimiters rtl buttons watermark avatar_images sanitize_html "
               "render_markdown feedback_options feedback_value line_breaks layout placeholder examples allow_file_downloads "
               "group_consecutive_messages allow_tags reasoning_tags like_user_message",
    "row": "variant visible elem_id elem_classes scale height max_height min_height equal_height show_progress key preserved_by_key",
    "column": "scale min_width variant visible elem_id elem_classes show_progress key preserved_by_key",
    "group": "visible elem_id elem_classes key preserved_by_key",
    "accordion": "label open height max_height visible elem_id elem_classes key preserved_by_key",
    "sidebar": "label open visible elem_id elem_classes width position key preserved_by_key",
    "tabs": "selected overflow_behavior visible elem_id elem_classes key preserved_by_key",
    "tabitem": "label visible interactive id alignment elem_id elem_classes scale height max_height key preserved_by_key render_children",
    "dataset": "label show_label component_props samples headers type layout samples_per_page visible elem_id elem_classes key "
               "preserved_by_key container scale min_width sample_labels",
}
EMPTY = {"dataset": {"component_props": [], "samples": [], "components": [], "component_ids": []}, "tabitem": {"label": None}}
# What our server has no use for: other processes' secrets and folders, and components without a builder
LEFT_OUT = ("browserstate", "imageeditor", "plot", "paramviewer", "annotatedimage", "fileexplorer", "model3d", "multimodaltextbox",
            "colorpicker", "datetime")
FILE = "A file: path is its place on the server, url where it can be fetched."
SHORT = {"A local filepath or publicly available URL.": FILE, "\u2026": FILE}
API = {"props": {"value": None, "_api_info": {}, "label": None, "name": "api", "_selectable": False}, "skip_api": False,
       "api_info": {}, "example_inputs": "...", "events": []}


def in_our_words(value, key=""):
    if isinstance(value, dict):
        return {k: in_our_words(v, k) for k, v in value.items() if not (k == "description" and "typed dictionary" in str(v))}
    if isinstance(value, list):
        return [in_our_words(v) for v in value]
    return SHORT.get(value, value) if key in ("description", "additional_description") else value


def entry(name, recorded):
    props = {**recorded["props"], **EMPTY.get(name, {})}
    order = PARAMETERS.get(name, "").split()
    first = next((i for i, key in enumerate(props) if key in order), len(props))
    before, after = list(props)[:first], [key for key in list(props)[first:] if key not in order]
    out = {"props": {key: props.get(key) for key in before + order + after}, "skip_api": recorded["skip_api"]}
    if recorded.get("api_info"):
        out["api_info"] = in_our_words(recorded["api_info"])
        out["example_inputs"] = recorded["example_inputs"]
    out["events"] = list(dict.fromkeys(recorded.get("events", [])))
    return out


with open(sys.argv[1], encoding="utf-8") as f:
    recording = json.load(f)
table = {name: entry(name, recording[name]) for name in recording if name not in LEFT_OUT}
table["api"] = API
print("{")
print(",\n".join(f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in table.items()))
print("}")
