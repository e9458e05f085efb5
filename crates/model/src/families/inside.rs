//! Text models inside models that see or hear as well.

/// Hugging Face's class of the whole, its text model's `model_type` and that model's class; the
/// first row of a whole stands for configurations that do not name the type.
const INSIDE: &[(&str, &str, &str)] = &[
    ("Gemma3ForConditionalGeneration", "gemma3_text", "Gemma3ForCausalLM"),
    ("Gemma4ForConditionalGeneration", "gemma4_text", "Gemma4ForCausalLM"),
    ("Llama4ForConditionalGeneration", "llama4_text", "Llama4ForCausalLM"),
    ("Mistral3ForConditionalGeneration", "mistral", "MistralForCausalLM"),
    ("Mistral3ForConditionalGeneration", "ministral3", "Ministral3ForCausalLM"),
    ("Qwen3_5ForConditionalGeneration", "qwen3_5_text", "Qwen3_5ForCausalLM"),
    ("Qwen3_5MoeForConditionalGeneration", "qwen3_5_moe_text", "Qwen3_5MoeForCausalLM"),
];

/// Whether a class is one whose text model runs alone, as text without images asks it to.
pub fn has_text(whole: &str) -> bool {
    INSIDE.iter().any(|row| row.0 == whole)
}

/// The class of the text model inside a class's models, by its `model_type` where that is named.
pub fn text_class(whole: &str, model_type: Option<&str>) -> Option<&'static str> {
    let fits = |row: &&(&str, &str, &str)| {
        row.0 == whole && model_type.is_none_or(|model_type| row.1 == model_type)
    };
    INSIDE.iter().find(fits).map(|row| row.2)
}
