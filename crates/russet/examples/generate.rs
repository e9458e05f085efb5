//! Goes on with a text, greedily: `cargo run --example generate -- model.gguf "Once upon a time"`.

use russet::{Model, Options, Params, Sampling};

fn main() -> Result<(), russet::Error> {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or(russet::BUILTIN.to_owned());
    let prompt = args.next().unwrap_or("Russet is".to_owned());
    let mut model = Model::open(name, &Options::default())?;
    let sampling = Some(Sampling { temperature: 0.0, ..Sampling::default() });
    let params = Params { sampling, max_tokens: Some(40), ..Params::default() };
    let answer = model.generate(&prompt, &params)?;
    println!("{prompt}{}", answer.text);
    println!("{} tokens in {:?}", answer.usage.generated, answer.timings.generation);
    Ok(())
}
