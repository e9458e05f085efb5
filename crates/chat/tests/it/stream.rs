//! Stop strings do not depend on how a text was cut into tokens.

use crate::vocab;
use chat::{ChatError, Stops, Stream};
use engine::limits;
use proptest::prelude::*;
use testkit::tiny;

/// The text up to the stop string that is complete first; of several the longest.
fn cut<'a>(text: &'a str, stops: &[String]) -> &'a str {
    for end in (0..=text.len()).filter(|&end| text.is_char_boundary(end)) {
        let complete = stops.iter().filter(|stop| text[..end].ends_with(stop.as_str()));
        if let Some(longest) = complete.map(String::len).max() {
            return &text[..end - longest];
        }
    }
    text
}

proptest! {
    #[test]
    fn text_ends_before_the_first_stop_string(
        ids in prop::collection::vec(0..tiny::VOCAB as u32, 0..60),
        spans in prop::collection::vec((0usize..60, 1usize..5), 0..4),
    ) {
        let vocab = vocab(true);
        let text = vocab.decode(&ids, false);
        let chars: Vec<char> = text.chars().collect();
        let stops: Vec<String> = spans
            .iter()
            .map(|&(at, len)| chars.iter().skip(at).take(len).collect::<String>())
            .filter(|stop| !stop.is_empty())
            .collect();
        let mut stream = Stream::new(vocab.clone(), Stops::new(stops.clone()).unwrap(), false);
        let mut out = String::new();
        for (n, &id) in ids.iter().enumerate() {
            out.push_str(&stream.push(id));
            if stream.is_stopped() {
                break;
            }
            // What is held back is the beginning of a stop string or of a character.
            let certain = vocab.decode(&ids[..=n], false);
            let held = certain.strip_prefix(&out).expect("it was handed out");
            let held = held.trim_end_matches(char::REPLACEMENT_CHARACTER);
            prop_assert!(held.is_empty() || stops.iter().any(|stop| stop.starts_with(held)));
        }
        out.push_str(&stream.finish());
        prop_assert_eq!(out, cut(&text, &stops));
    }
}

#[test]
fn a_beginning_that_comes_to_nothing_is_given_out() {
    let vocab = vocab(true);
    let mut stream = Stream::new(vocab.clone(), Stops::new(vec!["stop".into()]).unwrap(), false);
    let mut push = |piece: &str| stream.push(vocab.id(piece).expect("it is a token"));
    assert_eq!(push("a"), "a");
    assert_eq!(push("st"), "");
    assert_eq!(push("o"), "");
    assert_eq!(push("st"), "sto");
    assert_eq!(push("op"), "");
    assert!(stream.is_stopped());
    assert_eq!(stream.finish(), "");
}

#[test]
fn a_stop_string_of_half_characters_is_found() {
    let vocab = vocab(true);
    let mut stream = Stream::new(vocab.clone(), Stops::new(vec!["é".into()]).unwrap(), false);
    let mut push = |piece: &str| stream.push(vocab.id(piece).expect("it is a token"));
    assert_eq!([push("a"), push("Ã"), push("¼")].concat(), "aü");
    assert_eq!([push("Ã"), push("©"), push("a")].concat(), "");
    assert!(stream.is_stopped());
}

#[test]
fn stop_strings_are_bounded() {
    assert!(matches!(Stops::new(vec![String::new()]), Err(ChatError::EmptyStop)));
    let long = "x".repeat(limits::STOP_STRING_BYTES_MAX + 1);
    assert!(Stops::new(vec![long]).unwrap_err().to_string().contains("1025 bytes"));
    let many = vec!["x".to_owned(); limits::STOP_STRINGS_MAX + 1];
    assert!(Stops::new(many).unwrap_err().to_string().contains("65 strings"));
}
