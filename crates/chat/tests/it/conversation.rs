//! Messages to ids.

use crate::{BOS, vocab};
use chat::{ChatError, ChatTemplate, Conversation, TemplateSource, dry_breakers, prompt_ids};
use engine::limits;
use serde_json::json;

const PLAIN: &str = "{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}\
                     {% if add_generation_prompt %}{{ opening }}{% endif %}";

fn hello() -> Conversation {
    let mut conversation = Conversation::new();
    conversation.push("user", "hello").expect("it is short");
    conversation.set("opening", json!("yes"));
    conversation
}

#[test]
fn inputs_reach_the_template() {
    let vocab = vocab(true);
    let chosen = ChatTemplate::choose(None, Some(PLAIN)).expect("it is valid");
    assert_eq!(chosen.source, TemplateSource::Model);
    let text = hello().render(&chosen.template, &vocab, true).expect("it renders");
    assert_eq!(text, "hello</s>yes");
    let text = hello().render(&chosen.template, &vocab, false).expect("it renders");
    assert_eq!(text, "hello</s>");
}

#[test]
fn a_model_without_a_template_gets_the_builtin_one() {
    let chosen = ChatTemplate::choose(None, None).expect("it is valid");
    assert_eq!(chosen.source, TemplateSource::Builtin);
    let text = hello().render(&chosen.template, &vocab(true), true).expect("it renders");
    assert!(text.contains("hello"), "{text:?}");
    let user = ChatTemplate::choose(Some(PLAIN), Some("{{")).expect("the user's is valid");
    assert_eq!(user.source, TemplateSource::User);
    assert!(ChatTemplate::choose(None, Some("{{")).is_err());
}

#[test]
fn bos_comes_once_and_only_where_it_is_wanted() {
    let with_bos = format!("{{{{ bos_token }}}}{PLAIN}");
    for (template, adds, expected) in
        [(PLAIN, true, 1), (&with_bos, true, 1), (&with_bos, false, 1), (PLAIN, false, 0)]
    {
        let vocab = vocab(adds);
        let chosen = ChatTemplate::choose(None, Some(template)).expect("it is valid");
        let ids = hello().ids(&chosen.template, &vocab).expect("it renders");
        let found = ids.iter().filter(|&&id| id == BOS).count();
        assert_eq!(found, expected, "{template} {adds}");
        assert_eq!(ids.first() == Some(&BOS), expected == 1);
    }
    assert_eq!(prompt_ids(&vocab(true), ""), [BOS]);
    assert!(prompt_ids(&vocab(false), "").is_empty());
}

#[test]
fn messages_are_checked_and_bounded() {
    let bad = Conversation::from_messages(vec![json!({"role": "user"}), json!({"content": "x"})]);
    assert!(matches!(bad, Err(ChatError::Message { index: 1 })));
    let mut conversation = hello();
    let long = "x".repeat(limits::CONVERSATION_BYTES_MAX);
    assert!(matches!(conversation.push("user", &long), Err(ChatError::TooLarge { .. })));
    assert_eq!(conversation.messages().len(), 1);
    assert_eq!(conversation.pop().expect("there is one")["content"], "hello");
    assert_eq!(conversation.pop(), None);
    assert!(conversation.push("user", &long[100..]).is_ok(), "what was taken away is free again");
}

#[test]
fn the_templates_own_words_are_its_error() {
    let chosen = ChatTemplate::choose(None, Some("{{ raise_exception('no system turn') }}"));
    let template = chosen.expect("it is valid").template;
    let error = hello().render(&template, &vocab(true), true).expect_err("it raises");
    assert_eq!(error.to_string(), "no system turn");
}

#[test]
fn breakers_are_all_tokens_that_hold_or_begin_the_string() {
    let vocab = vocab(true);
    let ids = |pieces: &[&str]| -> Vec<u32> {
        pieces.iter().map(|piece| vocab.id(piece).expect("it is a token")).collect()
    };
    let mut expected = vec![ids(&["s"]), ids(&["st"]), ids(&["rs"]), ids(&["sto"])];
    expected.sort();
    assert_eq!(dry_breakers(&vocab, &["s"]), expected);
    // Letters are not merged here, so that the rest is spelled letter by letter.
    let mut expected =
        vec![ids(&["t", "o", "p"]), ids(&["st", "o", "p"]), ids(&["sto", "p"]), ids(&["top"])];
    expected.sort();
    assert_eq!(dry_breakers(&vocab, &["top"]), expected);
    assert!(dry_breakers(&vocab, &[""]).is_empty());
}
