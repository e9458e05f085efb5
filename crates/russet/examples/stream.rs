//! Chats, printing the answer as it comes: `cargo run --example stream -- model.gguf "Hello"`.

use std::io::Write;
use std::ops::ControlFlow;

use russet::{Conversation, Model, Options, Params};

fn main() -> Result<(), russet::Error> {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or(russet::BUILTIN.to_owned());
    let question = args.next().unwrap_or("What is Russet?".to_owned());
    let mut model = Model::open(name, &Options::default())?;
    let mut conversation = Conversation::new();
    conversation.push("user", &question)?;
    model.chat(&conversation, &Params::default(), |text| {
        print!("{text}");
        match std::io::stdout().flush() {
            Ok(()) => ControlFlow::Continue(()),
            // Nobody reads any more.
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    println!();
    Ok(())
}
